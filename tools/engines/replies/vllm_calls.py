"""vLLM in a driver's own process: prompts that wait for their reply, and the reply behind its own live prefix."""

# Tokens of vLLM's blocks. Its own choice on a CPU is 128: with fewer, more prompts share blocks and part inside them.
BLOCK = 32
# A prompt of less than a block, which begins as no other does. vLLM stores in the steps behind a prompt.
_STEP = [1, 2, 3]
#: For vLLM's LLM: the same batches everywhere, whatever the length of a prompt.
SETTINGS = {
    "skip_tokenizer_init": True, "enforce_eager": True, "block_size": BLOCK, "max_model_len": 4096, "max_num_seqs": 2,
    "max_num_batched_tokens": 4096}


def complete(llm, tokens, count):
    """How many tokens came from a cache, and the reply."""
    from vllm import SamplingParams

    settings = SamplingParams(temperature=0.0, max_tokens=count, ignore_eos=True, detokenize=False)
    output = llm.generate([{"prompt_token_ids": tokens}], settings, use_tqdm=False)[0]
    return output.num_cached_tokens, list(output.outputs[0].token_ids)


def step(llm):
    """Lets vLLM do what it does behind a prompt."""
    complete(llm, _STEP, 8)


def live(llm, tokens, cuts, count):
    """The reply behind vLLM's own cache of blocks, which was filled up to one cut after the other."""
    llm.reset_prefix_cache()
    for end in cuts:
        complete(llm, tokens[:end], 1)
    return complete(llm, tokens, count)[1]
