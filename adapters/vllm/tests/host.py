"""vLLM with a store, as the tests run it: one engine per process, driven by lines of JSON.

    host.py MODEL STORE OPTIONS

STORE is "-" for an engine without one. It prints "RESULT " and JSON per line of the input. A line is

    {"prompts": [[...]], "tokens": N}   answers prompts one after the other, N tokens each
    {"flush": true}                     waits until what was computed is on disk
    {"kill": true}                      ends at once, as kill -9 does

OPTIONS is JSON: `tier` for the tier, `engine` for vLLM; `processes`: true for vLLM's own process of the engine.
"""

import json
import os
import signal
import sys
import time

from vllm import LLM, SamplingParams
from vllm.config import KVTransferConfig

# On other machines the engine's arithmetic would be another, with any number of threads.
THREADS = 2


def start(folder, store, options):
    more = {}
    if store != "-":
        more["kv_transfer_config"] = KVTransferConfig(
            kv_connector="PrefixStoreConnector", kv_role="kv_both", engine_id=f"pfx-test-{os.getpid()}-0",
            kv_connector_extra_config={
                "spec_name": "CpuTieringSpec", "spec_module_path": "cpu_spec", "cpu_bytes_to_use": 256 << 20,
                "secondary_tiers": [{"type": "prefixstore", "folder": store, **options.get("tier", {})}]})
    return LLM(
        model=folder, skip_tokenizer_init=True, enforce_eager=True, max_model_len=4096, max_num_seqs=2,
        max_num_batched_tokens=4096, **{**more, **options.get("engine", {})})


def answer(llm, tokens, count):
    settings = SamplingParams(temperature=0.0, max_tokens=count, logprobs=5, ignore_eos=True, detokenize=False)
    begin = time.perf_counter()
    output = llm.generate([{"prompt_token_ids": tokens}], settings, use_tqdm=False)[0]
    seconds = time.perf_counter() - begin
    reply = output.outputs[0]
    return {
        "reused": output.num_cached_tokens, "seconds": seconds, "reply": list(reply.token_ids),
        # JSON writes a float so that it is read back as the same one.
        "logprobs": [sorted((token, value.logprob) for token, value in step.items()) for step in reply.logprobs]}


def flush(llm):
    """vLLM offloads in the steps behind a prompt: a short one, of less than a block, makes it step."""
    answer(llm, [1, 2, 3], 8)
    if os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0":
        connector = llm.llm_engine.engine_core.engine_core.scheduler.connector
        for tier in connector.scheduler.manager.secondary_tiers if connector is not None else []:
            tier.drain_jobs()
            if tier.store is not None:
                tier.store.flush()


def main():
    folder, store, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1" if options.get("processes") else "0"
    llm = start(folder, store, options)
    answer(llm, [3, 2, 1], 4)  # what the first prompt of a process takes longer is no part of what is measured
    print("RESULT {}", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        result = {}
        if asked.get("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if asked.get("flush"):
            flush(llm)
        if "prompts" in asked:
            result = {"answers": [answer(llm, tokens, asked["tokens"]) for tokens in asked["prompts"]]}
        print("RESULT " + json.dumps(result), flush=True)
    llm.llm_engine.engine_core.shutdown()


if __name__ == "__main__":
    main()
