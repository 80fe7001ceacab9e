"""Shows LMCache's second level over a restart: one process stores chunks, a new one finds and loads them.

    demo.py [--rounds N]                       3 rounds
    demo.py FOLDER MODEL NAME store | load     one process of it

In turns with LMCache's own `fs_native`, which keeps a file per chunk and does not sync it. Prints medians, and the
ratios. 32 chunks of 2 MiB, random bfloat16 with a normal distribution. Exit status 1 when a chunk did not come back.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "adapters" / "lmcache" / "tests"))

COUNT = 32
CONFIGS = ("PrefixStore", "fs_native")


def adapter_of(name, folder, model):
    from lmcache.v1.distributed.l2_adapters.factory import create_l2_adapter_from_registry
    from lmcache.v1.distributed.l2_adapters.fs_native_l2_adapter import FSNativeL2AdapterConfig
    from support import connect, parameters

    if name == "PrefixStore":
        return connect({**parameters(folder, model), "chunk_size": 256})
    os.makedirs(folder, exist_ok=True)
    return create_l2_adapter_from_registry(FSNativeL2AdapterConfig.from_dict({"type": name, "base_path": folder}))


def one(folder, model, name, word):
    """Stores or loads, and prints the seconds that it took."""
    import torch
    from lmcache.v1.distributed.api import MemoryLayoutDesc
    from lmcache.v1.memory_allocators.host_memory_allocator import HostMemoryAllocator
    from lmcache.v1.memory_management import MemoryFormat
    from support import key_of, until

    shape = torch.Size([2, 16, 256, 128])
    memory = HostMemoryAllocator(COUNT * 4 << 20)
    objects = [memory.allocate([shape], [torch.bfloat16], MemoryFormat.KV_2LTD) for _ in range(COUNT)]
    torch.manual_seed(1)
    right = [torch.randn(shape).to(torch.bfloat16) for _ in objects]
    keys = [key_of(at) for at in range(COUNT)]
    adapter = adapter_of(name, folder, model)
    for each, numbers in zip(objects, right):
        # Loading into memory that was never touched would measure the system's page faults.
        each.tensor.copy_(numbers if word == "store" else torch.zeros(shape))
    begin = time.perf_counter()
    if word == "store":
        task = adapter.submit_store_task(keys, objects)
        succeeded = until(adapter.pop_completed_store_tasks)[task].is_successful()
    else:
        task = adapter.submit_lookup_and_lock_task(keys, {0: MemoryLayoutDesc([shape], [torch.bfloat16])})
        found = until(lambda: adapter.query_lookup_and_lock_result(task))
        succeeded = all(found.test(at) for at in range(COUNT))
        task = adapter.submit_load_task(keys, objects)
        came = until(lambda: adapter.query_load_result(task))
        succeeded = succeeded and all(came.test(at) for at in range(COUNT))
    seconds = time.perf_counter() - begin
    if word == "load":
        succeeded = succeeded and all(torch.equal(each.tensor, numbers) for each, numbers in zip(objects, right))
    print("RESULT " + json.dumps([seconds, bool(succeeded)]), flush=True)
    adapter.close()


def run(*arguments):
    ended = subprocess.run(
        [sys.executable, "-B", __file__, *map(str, arguments)], capture_output=True, text=True, check=True)
    return json.loads([line for line in ended.stdout.splitlines() if line.startswith("RESULT ")][0][7:])


def main():
    rounds = int(sys.argv[2]) if sys.argv[1:2] == ["--rounds"] else 3
    times = {name: {"store": [], "load": []} for name in CONFIGS}
    sizes, sound = {}, True
    for round_ in range(rounds):
        for name in CONFIGS if round_ % 2 == 0 else CONFIGS[::-1]:
            with tempfile.TemporaryDirectory() as folder:
                from support import make_model

                model = make_model(folder, "model")
                for word in ("store", "load"):
                    seconds, succeeded = run(Path(folder) / "kv", model, name, word)
                    times[name][word].append(seconds)
                    sound = sound and succeeded
                sizes[name] = sum(file.stat().st_size for file in (Path(folder) / "kv").rglob("*") if file.is_file())
    for name in CONFIGS:
        medians = {word: statistics.median(found) for word, found in times[name].items()}
        print(f"{name:12}  store {medians['store'] * 1e3:7.1f} ms   look-up and load in a new process "
              f"{medians['load'] * 1e3:7.1f} ms   on disk {sizes[name] / 1e6:5.1f} MB")
    for word in ("store", "load"):
        ratios = [ours / theirs for ours, theirs in zip(times["PrefixStore"][word], times["fs_native"][word])]
        print(f"{word}: PrefixStore takes {statistics.median(ratios):.2f} times as long as fs_native")
    print("Every byte came back." if sound else "A chunk did NOT come back.")
    return 0 if sound else 1


if __name__ == "__main__":
    if len(sys.argv) == 5:
        one(*sys.argv[1:])
    else:
        sys.exit(main())
