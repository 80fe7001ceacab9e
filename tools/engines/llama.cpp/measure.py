"""Measures the llama.cpp adapters against what the engine has by itself, in turns.

    tools/engines/measure llama.cpp [restore | put | disk | stream | python] ...    all of them when none is named

- restore: 2,048 tokens into a new process, against llama.cpp's own session file: all that a program waits for once it
  has its context (the store and the adapter are opened, the prompt is found and put into the context)
- stream: decoding token by token at 8,192 tokens, with the page before stored beside it, against decoding alone: the
  same tokens in turns
- put: what the engine waits for when it stores 2,048 tokens, against saving a session file
- disk: bytes of 20 prompts of 2,000 tokens that share 1,500, against 20 session files
- python: a new llama-cpp-python process answers a stored prompt, with PrefixCache and with LlamaDiskCache

MEASURE_UNDER=COMMAND  runs every process that is timed, of both sides, under a command. `chrt -f 10` keeps the programs
                       of others away from them, on a machine that others use too.
"""

import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HOME = Path(os.environ["LLAMA_TEST_HOME"])
HOST = Path(__file__).resolve().parents[3] / "adapters" / "llama-cpp-python" / "tests" / "host.py"
MODELS = ("small", "medium")
TURNS = 7
STREAM_TURNS = 24
UNDER = os.environ.get("MEASURE_UNDER", "").split()
CONTEXT = {"context": 4096, "batch": 512, "threads": 2}


def host(action, model, store, **settings):
    """Runs the test program of the adapter in C; its figures, one dictionary per line of output."""
    under = [] if action == "live" else UNDER
    arguments = [*under, HOME / "host", action, HOME / "models" / f"{model}.gguf", store, store.with_suffix(".logits")]
    arguments += [f"{name}={value}" for name, value in {**CONTEXT, **settings}.items()]
    run = subprocess.run(arguments, capture_output=True, text=True, check=True)
    lines = [dict(re.findall(r"(\w+)=([\d.]+)", line)) for line in run.stdout.splitlines()]
    return [{name: float(value) for name, value in line.items()} for line in lines]


def show(what, ours, theirs, goal):
    ratios = [one / other for one, other in zip(ours, theirs)]
    print(f"{what}: {statistics.median(ours):.1f} ms (least {min(ours):.1f}) against "
          f"{statistics.median(theirs):.1f} ms (least {min(theirs):.1f}); ratio of the medians "
          f"{statistics.median(ours) / statistics.median(theirs):.2f}, median of the ratios of turns "
          f"{statistics.median(ratios):.2f}, goal {goal}", flush=True)


def bring_in(file):
    """Reads a file, so that it comes from the page cache next. A machine with other work drops files at any time."""
    with open(file, "rb") as opened:
        while opened.read(1 << 20):
            pass


def restore(folder):
    for model in MODELS:
        for codec, number in (("auto", 0), ("raw", 3)):
            restore_from(folder, model, codec, number)


def restore_from(folder, model, codec, number):
    """Restores a model's state from pages of one codec."""
    store, session = folder / f"{model}-{codec}", folder / f"{model}.session"
    host("live", model, store, n=2049, cut=2048, session=session, codec=number)
    ours, opened, theirs = [], [], []
    for turn in range(TURNS + 1):
        bring_in(store / "data.mdb")
        run = host("restored", model, store, n=2049, cut=2048, codec=number)[0]
        assert run["restored"] == 2048, run
        bring_in(session)
        own = host("session", model, folder / "unused", n=2049, cut=2048, session=session)[0]
        if turn > 0:  # the first brings the programs into the page cache
            ours.append(run["open_ms"] + run["llama_open_ms"] + run["restore_ms"])
            opened.append(run["restore_ms"])
            theirs.append(own["session_ms"])
    show(f"restore, {model}, codec {codec}", ours, theirs, "1.10")
    show(f"restore, {model}, codec {codec}, with the store and the adapter open already", opened, theirs, "none")


def put(folder):
    for model in MODELS:
        turns = host("puts", model, folder / f"puts-{model}", n=2048, cut=2048, turns=TURNS + 1,
                     session=folder / f"{model}.put")[1:]
        show(f"put, {model}", [turn["put_ms"] for turn in turns], [turn["session_ms"] for turn in turns], "1.20")
        durable = [turn["durable_ms"] for turn in turns]
        worked = statistics.median(turn["cpu_ms"] for turn in turns)
        print(f"until it is durable, {model}: {statistics.median(durable):.0f} ms; processor time of all threads "
              f"{worked:.0f} ms, {worked / 32:.1f} ms for each page of 64 tokens", flush=True)


def disk(folder):
    store, session = folder / "shared", folder / "shared.session"
    for prompt in range(20):
        host("live", "small", store, n=2000, cut=1999, seed=prompt + 2, other=1500, session=session)
    own = 20 * session.stat().st_size * 2000 / 1999
    used = (store / "data.mdb").stat().st_blocks * 512
    print(f"disk: {used:,} bytes against {own:,.0f} of 20 session files; ratio {used / own:.2f}, goal 0.30", flush=True)


def stream(folder):
    # Pages begin at multiples of 64 tokens.
    lines = host("stream", "small", folder / "stream", n=8192 + 16, context=8448, turns=STREAM_TURNS)
    lines = [line for line in lines if "quarter_ms" in line]
    costs, shares, left = [], [], []
    for one, other in zip(lines[::2], lines[1::2]):
        stored, alone = (one, other) if one["is_stored"] else (other, one)
        page = 4 * alone["quarter_ms"]
        costs.append((stored["quarter_ms"] - alone["quarter_ms"]) / page)
        shares.append(stored["store_ms"] / page)
        left.append(stored["left_ms"])
    low, high = median_interval(costs)
    print(f"stream, small: a page stored {len(costs)} times at 8,192 tokens; storing costs "
          f"{statistics.median(costs):.2%} of decoding a page in the median, with 95 % confidence between {low:.2%} and "
          f"{high:.2%}; the decoding thread is in the adapter for {statistics.median(shares):.2%} of the time; what is "
          f"not done after a quarter of a page takes {statistics.median(left):.1f} ms; goal 1 %", flush=True)


def median_interval(values):
    """Between which two of the values the median of the distribution lies with 95 % confidence, whatever its form."""
    values = sorted(values)
    rank = max(0, math.floor((len(values) - 1.96 * math.sqrt(len(values))) / 2) - 1)
    return values[rank], values[-1 - rank]


def python(folder):
    prompt = "The library opens at 9; maps are on floor 2. " * 35  # 2,069 tokens in the vocabulary of these models
    for model in MODELS:
        seconds = {"PrefixCache": [], "LlamaDiskCache": []}
        for turn in range(TURNS + 1):
            for name, values in seconds.items():
                store = folder / f"{name}-{model}"
                spelled = str(store) if name == "PrefixCache" else f"disk:{store}"
                # LlamaDiskCache removes the entry that it reads, so every turn reads a copy of a full one.
                if turn > 0:
                    full = folder / f"{store.name}-full"
                    shutil.rmtree(store)
                    shutil.copytree(full, store)
                options = json.dumps({"llama": {"n_threads": 2, "flash_attn": True}, "measure": True})
                gguf = HOME / "models" / f"{model}.gguf"
                under = UNDER if turn > 0 else []
                arguments = [*under, sys.executable, "-B", HOST, gguf, spelled, json.dumps([prompt]), options]
                run = subprocess.run(arguments, capture_output=True, text=True, check=True)
                if turn == 0:
                    shutil.copytree(store, folder / f"{store.name}-full")
                else:
                    values.append(1e3 * json.loads(run.stdout)["look_up_seconds"])
        show(f"python, {model}", seconds["PrefixCache"], seconds["LlamaDiskCache"], "0.20")


def main():
    parts = {"restore": restore, "put": put, "disk": disk, "stream": stream, "python": python}
    chosen = sys.argv[1:] or list(parts)
    if any(name not in parts for name in chosen):
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="pfx-llama-"))
    try:
        for name in chosen:
            print(f"load average {os.getloadavg()[0]:.1f}", flush=True)
            parts[name](folder)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
