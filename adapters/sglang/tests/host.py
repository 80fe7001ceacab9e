"""An engine of SGLang on the CPU with a store, as the tests run it: host.py MODEL OPTIONS PROMPTS, the last two JSON.

OPTIONS: `prefixstore` (for the extra configuration), `engine` (for sglang.Engine), `interface` (1, or 0 for the older
calls), `extra` (for the extra configuration too), `plugin` (another than `enable` of cpu_only), `kill` (true: ends all
processes of the engine with SIGKILL). PROMPTS: lists of token ids. Prints per prompt how many of its tokens were cached
and where, and the log-probabilities of the tokens that follow.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import cpu_only

os.environ.update(HF_HUB_OFFLINE="1", SGLANG_USE_CPU_ENGINE="0")
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # Ninja, for SGLang's hash extension.


def start(model, options):
    """An engine; without `prefixstore` in the options it has no hierarchical cache."""
    folders = [str(cpu_only.plugin_folder(options.get("plugin", "cpu_only:enable"))), str(Path(__file__).parent)]
    sys.path[:0] = folders
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])
    import sglang

    settings = {"dtype": "float32", "page_size": 64, **options.get("engine", {})}
    if "prefixstore" in options:
        settings = {**storage(options), **settings}
    return sglang.Engine(
        model_path=model, device="cpu", attention_backend="torch_native", disable_overlap_schedule=True,
        mem_fraction_static=0.2, max_total_tokens=8192, skip_tokenizer_init=True, skip_server_warmup=True,
        log_level="warning", disable_cuda_graph=True, **settings)


def storage(options):
    """The settings of SGLang that name the store."""
    extra = {
        "backend_name": "prefixstore", "module_path": "prefixstore.adapters.sglang", "class_name": "PrefixStoreStorage",
        "interface_v1": options.get("interface", 1), "prefixstore": options["prefixstore"], **options.get("extra", {})}
    return {
        "enable_hierarchical_cache": True, "hicache_ratio": 2.0, "hicache_mem_layout": "page_first_direct",
        "hicache_io_backend": "direct", "hicache_write_policy": "write_through",
        "hicache_storage_prefetch_policy": "wait_complete", "hicache_storage_backend": "dynamic",
        "hicache_storage_backend_extra_config": json.dumps(extra)}


def answer(engine, prompt):
    begin = time.perf_counter()
    reply = engine.generate(
        input_ids=[prompt], sampling_params={"temperature": 0, "max_new_tokens": 4, "ignore_eos": True},
        return_logprob=True, top_logprobs_num=3)[0]
    found = reply["meta_info"]
    return {
        "tokens": len(prompt), "cached": found["cached_tokens"], "where": found.get("cached_tokens_details"),
        "reply": reply["output_ids"], "logprobs": [step[:2] for step in found["output_top_logprobs"][0]],
        "seconds": time.perf_counter() - begin}


def kill_all():
    """Kills the processes that this one has started, and this one."""
    mine = os.getpid()
    for process in Path("/proc").iterdir():
        try:
            if int((process / "stat").read_text().rsplit(")", 1)[1].split()[1]) == mine:
                os.kill(int(process.name), signal.SIGKILL)
        except (ValueError, OSError):
            pass
    os.kill(mine, signal.SIGKILL)


def main():
    model, options, prompts = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
    engine = start(model, options)
    for prompt in prompts:
        print("RESULT " + json.dumps(answer(engine, prompt)), flush=True)
        # The backup thread writes behind the reply, and the store commits a moment later.
        time.sleep(options.get("pause", 3))
    if options.get("kill"):
        kill_all()
    engine.shutdown()


if __name__ == "__main__":
    main()
