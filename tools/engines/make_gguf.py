"""Writes a model with random weights in GGUF form: real shapes for the tests of the adapters, and nothing to download.

    make_gguf.py OUT.gguf SHAPE [--seed N] [--lora]

    SHAPE   tiny, small or medium (plain attention), or windowed (every third layer looks at all tokens, the others at 128)
    --seed  another number gives another model of the same shape
    --lora  writes an adapter for a model of plain attention in place of a model: it changes keys and values

Its vocabulary is the 256 bytes and 253 pairs of letters, so that it takes any text. Needs the packages gguf and numpy.
"""

import argparse

import gguf
import numpy as np

# Layers, width, heads, KV heads, width of the feed-forward part.
SHAPES = {
    "tiny": (2, 128, 4, 2, 256),
    "small": (16, 512, 8, 4, 1536),
    "medium": (24, 1152, 18, 6, 3456),
    "windowed": (12, 256, 4, 2, 512),
}
WINDOW = 128
TOKENS = 512
LORA_RANK = 4


def vocabulary():
    """Tokens, their types and scores, as a sentencepiece tokenizer with bytes."""
    tokens = [b"<unk>", b"<s>", b"</s>"] + [f"<0x{byte:02X}>".encode() for byte in range(256)]
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL] + [gguf.TokenType.BYTE] * 256
    pairs = TOKENS - len(tokens)
    tokens += [bytes([97 + pair % 26, 97 + pair // 26]) for pair in range(pairs)]
    scores = [0.0] * (TOKENS - pairs) + [-float(pair) for pair in range(pairs)]
    return tokens, types + [gguf.TokenType.NORMAL] * pairs, scores


def write_header(writer, shape):
    layers, width, heads, kv_heads, inner = SHAPES[shape]
    writer.add_name(f"random-{shape}")
    writer.add_block_count(layers)
    writer.add_context_length(8192)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(TOKENS)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    if shape == "windowed":
        writer.add_key_length(width // heads)
        writer.add_value_length(width // heads)
        writer.add_sliding_window(WINDOW)
    else:
        writer.add_rope_dimension_count(width // heads)
    tokens, types, scores = vocabulary()
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def write_tensors(writer, shape, random):
    layers, width, heads, kv_heads, inner = SHAPES[shape]
    head = width // heads

    def matrix(name, rows, columns, gain=1.0):
        values = random.standard_normal((rows, columns), dtype=np.float32) * (gain / columns ** 0.5)
        writer.add_tensor(name + ".weight", values.astype(np.float16))

    def ones(name, count=width):
        writer.add_tensor(name + ".weight", np.ones(count, dtype=np.float32))

    matrix("token_embd", TOKENS, width, width ** 0.5)
    for layer in range(layers):
        block = f"blk.{layer}."
        ones(block + "attn_norm")
        matrix(block + "attn_q", heads * head, width)
        matrix(block + "attn_k", kv_heads * head, width)
        matrix(block + "attn_v", kv_heads * head, width)
        matrix(block + "attn_output", width, heads * head)
        ones(block + "ffn_norm")
        matrix(block + "ffn_gate", inner, width)
        matrix(block + "ffn_up", inner, width)
        matrix(block + "ffn_down", width, inner)
        if shape == "windowed":
            ones(block + "post_attention_norm")
            ones(block + "post_ffw_norm")
            ones(block + "attn_q_norm", head)
            ones(block + "attn_k_norm", head)
    ones("output_norm")
    if shape != "windowed":
        matrix("output", TOKENS, width, 3.0)


def write_lora(writer, shape, random):
    layers, width, heads, kv_heads, _ = SHAPES[shape]
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(LORA_RANK))
    for layer in range(layers):
        for name in ("attn_k", "attn_v"):
            inner = random.standard_normal((LORA_RANK, width), dtype=np.float32) / width ** 0.5
            outer = random.standard_normal((kv_heads * width // heads, LORA_RANK), dtype=np.float32)
            writer.add_tensor(f"blk.{layer}.{name}.weight.lora_a", inner)
            writer.add_tensor(f"blk.{layer}.{name}.weight.lora_b", outer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lora", action="store_true")
    arguments = parser.parse_args()
    writer = gguf.GGUFWriter(arguments.out, "gemma3" if arguments.shape == "windowed" else "llama")
    random = np.random.default_rng(arguments.seed)
    if arguments.lora:
        write_lora(writer, arguments.shape, random)
    else:
        write_header(writer, arguments.shape)
        write_tensors(writer, arguments.shape, random)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
