"""Writes a model with random weights as transformers saves it: real shapes for the tests, and nothing to download.

    make_hf_model.py OUT [--family NAME] [--shape NAME] [--dtype NAME] [--seed N] [--window N]

    --family  llama, mistral, qwen2 or qwen3
    --shape   tiny (2 layers) or small (16 layers, about 50 M parameters)
    --dtype   float32, bfloat16 or float16
    --seed    another number gives another model of the same shape
    --window  tokens that a layer looks at (mistral); without it, all

Its vocabulary is the 256 bytes and three marks, so that it takes any text. Needs transformers.
"""

import argparse

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM, LlamaConfig, MistralConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen3Config)

FAMILIES = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}
# Layers, width, heads, KV heads, width of the feed-forward part.
SHAPES = {"tiny": (2, 128, 4, 2, 256), "small": (16, 512, 8, 4, 1536)}
MARKS = ("<unk>", "<s>", "</s>")
# Random weights make all tokens about equally likely: with a larger last layer, the likeliest stands out.
LAST_LAYER_GAIN = 8


def tokenizer():
    vocabulary = {character: at for at, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary.update((mark, 256 + at) for at, mark in enumerate(MARKS))
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=MARKS[0]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token=MARKS[0], bos_token=MARKS[1], eos_token=MARKS[2], pad_token=MARKS[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--family", choices=FAMILIES, default="llama")
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--window", type=int)
    arguments = parser.parse_args()
    layers, width, heads, kv_heads, inner = SHAPES[arguments.shape]
    more = {"sliding_window": arguments.window} if arguments.family == "mistral" else {}
    config = FAMILIES[arguments.family](
        vocab_size=512, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=kv_heads, head_dim=width // heads, max_position_embeddings=8192, bos_token_id=257,
        eos_token_id=258, pad_token_id=256, tie_word_embeddings=False, **more)
    torch.manual_seed(arguments.seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(LAST_LAYER_GAIN)
    model.to(getattr(torch, arguments.dtype)).save_pretrained(arguments.out)
    tokenizer().save_pretrained(arguments.out)


if __name__ == "__main__":
    main()
