"""vLLM on the CPU with LMCache's connector to a server: vllm_host.py MODEL PORT PROMPTS, the last JSON.

PROMPTS are lists of token ids. Prints, per prompt, how many tokens were cached, and the reply. One process has the
engine, its scheduler and its worker.
"""

import builtins
import json
import os
import sys
import time
import types

os.environ.update(
    HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_CPU_KVCACHE_SPACE="1", VLLM_CPU_OMP_THREADS_BIND="nobind",
    VLLM_ENABLE_V1_MULTIPROCESSING="0", LMCACHE_TRACK_USAGE="false")


def start(model, **settings):
    """vLLM with LMCache loaded beside it."""
    import vllm.triton_utils.dispatcher as dispatcher

    # vLLM looks through all loaded modules with vars(), and one of LMCache's libraries is no plain one.
    dispatcher.vars = lambda of: (
        lambda found: found if isinstance(found, (dict, types.MappingProxyType)) else {})(builtins.vars(of))
    from vllm import LLM

    return LLM(model=model, dtype="bfloat16", seed=1, **settings)


def connection(port):
    """The setting that connects vLLM with a server on this machine."""
    from vllm.config import KVTransferConfig

    return {"kv_transfer_config": KVTransferConfig(
        kv_connector="LMCacheMPConnector", kv_role="kv_both", kv_connector_extra_config={
            "lmcache.mp.host": "tcp://127.0.0.1", "lmcache.mp.port": port})}


def main():
    model, port, prompts = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    llm = start(
        model, enforce_eager=True, max_model_len=2048, skip_tokenizer_init=True, max_num_seqs=4, **connection(port))
    from vllm import SamplingParams

    for prompt in prompts:
        settings = SamplingParams(temperature=0.0, max_tokens=8, ignore_eos=True, detokenize=False)
        reply = llm.generate([{"prompt_token_ids": prompt}], settings, use_tqdm=False)[0]
        print("RESULT " + json.dumps({"cached": reply.num_cached_tokens, "reply": list(reply.outputs[0].token_ids)}), flush=True)
        # The server stores behind the reply.
        time.sleep(3)


if __name__ == "__main__":
    main()
