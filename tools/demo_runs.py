#!/usr/bin/env python3
"""The runs of tools/demo: starts `pfx`, compares what it wrote, prints a table and checks.

    demo_runs.py PFX ASSETS [--json] [--keep]

PFX is the built program, ASSETS the folder with checkpoint/ and prompts/. tools/demo calls this after the build.
Exit status: 0 every check passed, 1 one did not, 3 a run could not be made. Python 3.9 or newer, standard library only.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

PARALLEL = 8
LONGEST_RUN = 240  # seconds: a run that takes longer is treated as hanging
LONG_PREFIX = 1000  # shared tokens from which the time to first token is compared
LEAST_COLD, MOST_TTFT = 0.99, 0.2


class Failure(Exception):
    """A run that could not be made; the text is for people."""


@dataclass
class Run:
    """What one process did. Seconds of prefill are summed over requests, some of which ran at the same time.

    `hot_tokens` came from RAM: the store's hot tier, or, the `beside_tokens` of them, a request that ran beside.
    """

    name: str
    what: str
    prompts: int
    prefill_seconds: float
    median_ttft_seconds: float
    prompt_tokens: int
    computed_tokens: int
    hot_tokens: int
    cold_tokens: int
    beside_tokens: int
    wall_seconds: float
    lines: dict = field(repr=False)


@dataclass
class Check:
    """A condition that must hold, and what was found."""

    name: str
    passed: bool
    found: str


def read_lines(path):
    """The whole lines of an output file, by id. A killed run can leave the beginning of one more line."""
    text = path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.split("\n")[:-1]]
    return {line["id"]: line for line in lines}


def summarise(name, what, lines, seconds):
    """The figures of a run from its output lines."""
    replies = list(lines.values())
    refused = [line for line in replies if "error" in line]
    if refused:
        raise Failure(f"run {name} refused line {refused[0]['line']}: {refused[0]['error']}")
    reused = [reply["reused_tokens"] for reply in replies]
    hot, cold = sum(part["hot"] for part in reused), sum(part["cold"] for part in reused)
    prompt = sum(reply["prompt_tokens"] for reply in replies)
    return Run(
        name, what, len(replies), round(sum(reply["prefill_seconds"] for reply in replies), 3),
        statistics.median(reply["ttft_seconds"] for reply in replies) if replies else 0.0,
        prompt, prompt - hot - cold, hot, cold, sum(part["shared"] for part in reused), round(seconds, 3), lines)


class Demo:
    """The model, the prompts, a working folder, and the processes that are started in it."""

    def __init__(self, pfx, assets, folder, say):
        self.pfx, self.assets, self.folder, self.say = pfx, assets, folder, say
        self.store = folder / "store"
        self.running = []
        prompts = assets / "prompts"
        try:
            self.groups = json.loads((prompts / "groups.json").read_text(encoding="utf-8"))
            self.prompts = {
                group["group"]: (prompts / group["file"]).read_text(encoding="utf-8").splitlines(keepends=True)
                for group in self.groups
            }
        except OSError as error:
            raise Failure(f"{error.filename} cannot be read: the demo's data is incomplete") from error

    def lines_of(self, *groups):
        return [line for group in groups for line in self.prompts[group]]

    def start(self, name, lines, *options, held_back=0):
        """Starts `pfx batch` over `lines`. The last `held_back` of them never arrive: its input stays open."""
        output, log = self.folder / f"{name}.jsonl", self.folder / f"{name}.log"
        source = self.folder / f"{name}.input.jsonl"
        source.write_text("".join(lines), encoding="utf-8")
        command = [
            self.pfx, "batch", "--model", self.assets / "checkpoint", "--input", "-" if held_back else source,
            "--output", output, "--parallel", str(PARALLEL), *options]
        with open(log, "w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE if held_back else subprocess.DEVNULL, stdout=errors, stderr=errors)
        self.running.append(process)
        process.demo = (name, output, log, time.monotonic())
        if held_back:
            try:
                process.stdin.write("".join(lines[:-held_back]).encode())
                process.stdin.flush()
            except BrokenPipeError:
                pass  # It ended by itself; the code that waits for it reports why.
        return process

    def finish(self, process, what):
        """Waits for a process that must succeed, and returns its figures."""
        name, output, log, began = process.demo
        try:
            status = process.wait(timeout=LONGEST_RUN)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"run {name} took more than {LONGEST_RUN} s") from error
        if status != 0:
            raise Failure(f"run {name} ended with status {status}:\n{log.read_text(encoding='utf-8')}")
        run = summarise(name, what, read_lines(output), time.monotonic() - began)
        self.say(f"run {name}: {what}, {run.prompts} prompts, {run.wall_seconds:.1f} s")
        return run

    def run(self, name, what, lines, *options):
        return self.finish(self.start(name, lines, *options), what)

    def kill_half_way(self, name, what, lines, *options):
        """Starts a run, kills it when half of its lines are finished, and returns what it had written."""
        process = self.start(name, lines, *options, held_back=len(lines) // 4)
        _, output, log, began = process.demo
        while not output.exists() or output.read_bytes().count(b"\n") < len(lines) // 2:
            if process.poll() is not None:
                raise Failure(f"run {name} ended by itself:\n{log.read_text(encoding='utf-8')}")
            if time.monotonic() - began > LONGEST_RUN:
                raise Failure(f"run {name} took more than {LONGEST_RUN} s to get half-way")
            time.sleep(0.002)
        process.kill()
        process.wait()
        process.stdin.close()
        run = summarise(name, what, read_lines(output), time.monotonic() - began)
        self.say(f"run {name}: {what}, {run.prompts} of {len(lines)} prompts finished, then SIGKILL")
        return run, process.returncode

    def verify(self, when):
        """Whether every byte of the store is sound, by `pfx verify`."""
        done = subprocess.run([self.pfx, "verify", self.store], capture_output=True, text=True, timeout=LONGEST_RUN)
        text = (done.stdout + done.stderr).strip().split("\n")[0]
        return Check(f"the store is sound {when}", done.returncode == 0, text)

    def end_all(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()


def make_runs(demo):
    """All runs, and the checks that only the moment between two of them allows."""
    first, fourth = demo.lines_of("a", "b", "c"), demo.lines_of("d")
    store = ("--store", demo.store)
    runs = [demo.run("0", "no store, one at a time", first + fourth, "--no-store", "--parallel", "1")]
    runs.append(demo.run("1", "empty store", first, *store))
    # Without a hot tier everything that is reused comes from disk, so this shows what the disk alone gives.
    runs.append(demo.run("2", "new process, from disk alone", first, *store, "--hot-bytes", "0"))
    runs.append(demo.run("2b", "new process, disk and RAM", first, *store))

    # Two workers share the cores, and a document that the store has never seen.
    threads = ("--threads", str(max(1, (os.cpu_count() or 2) // 2)))
    workers = [demo.start(name, fourth[half::2], *store, *threads) for half, name in enumerate(["3a", "3b"])]
    runs += [demo.finish(worker, f"worker {number + 1} of two") for number, worker in enumerate(workers)]

    # A tenant's salt makes a separate space, in which nothing from runs 1 to 3 is found.
    salt = demo.folder / "salt"
    salt.write_text("a second tenant of the demo", encoding="utf-8")
    tenant = (*store, "--salt-file", salt)
    killed, status = demo.kill_half_way("4a", "fresh tenant, killed", first, *tenant)
    checks = [
        Check("run 4a was killed half-way", status == -signal.SIGKILL and len(first) // 2 <= killed.prompts < len(first),
              f"{killed.prompts} of {len(first)} prompts finished"),
        demo.verify("after the kill"),
    ]
    again = demo.run("4b", "restarted", first, *tenant)
    checks.append(Check("run 4b took from disk what run 4a had stored", again.cold_tokens > 0,
                        f"{again.cold_tokens:,} tokens"))
    checks.append(demo.verify("at the end"))
    return runs + [killed, again], checks


def same_outputs(runs):
    """Whether every reply of every run is the one without a store."""
    reference, compared, different = runs[0].lines, 0, []
    for run in runs[1:]:
        for name, line in run.lines.items():
            compared += 1
            if any(line[key] != reference[name][key] for key in ("tokens", "text", "finish_reason")):
                different.append(f"{name} in run {run.name}")
    found = f"{compared} replies compared" + (f", different: {', '.join(different[:5])}" if different else "")
    return Check("every reply is the one without a store", not different and compared > 0, found)


def reuse_checks(demo, first, second, usual):
    """What a new process must have taken from disk, and how much sooner its first tokens came."""
    groups = [group for group in demo.groups if group["group"] in "abc"]
    ids = {group["group"]: [json.loads(line)["id"] for line in demo.prompts[group["group"]]] for group in groups}
    shares, computed = {}, 0
    for group in groups:
        name, shared = group["group"], group["shared_tokens"]
        cold = [min(second.lines[key]["reused_tokens"]["cold"], shared) for key in ids[name]]
        shares[name] = sum(cold) / (shared * len(cold))
        for run in (second, usual):
            reused = [run.lines[key]["reused_tokens"] for key in ids[name]]
            computed += sum(max(0, shared - part["hot"] - part["cold"]) for part in reused)
    long = [key for group in groups if group["shared_tokens"] >= LONG_PREFIX for key in ids[group["group"]]]
    before, after, later = (
        statistics.median(run.lines[key]["ttft_seconds"] for key in long) for run in (first, second, usual))
    figures = {
        "least_cold_share": round(min(shares.values()), 6), "ttft_ratio": round(after / before, 6),
        "ttft_ratio_with_ram": round(later / before, 6)}
    found = ", ".join(f"{name} {100 * share:.2f} %" for name, share in shares.items())
    return figures, [
        Check(f"run 2: {100 * LEAST_COLD:.0f} % or more of the tokens of the shared prefixes come from disk",
              figures["least_cold_share"] >= LEAST_COLD, f"group {found}"),
        Check("runs 2, 2b: no token of a shared prefix is computed", computed == 0, f"{computed} computed"),
        Check(f"runs 2, 2b: median time to first token at most 1/{1 / MOST_TTFT:.0f} of run 1's",
              max(after, later) <= MOST_TTFT * before,
              f"{1000 * before:.1f} ms, then {1000 * after:.1f} and {1000 * later:.1f} ms"),
    ]


def table(runs):
    """The runs for people."""
    titles = ["run", "", "prompts", "prefill s", "median TTFT ms", "prompt tokens", "computed", "from RAM", "from disk",
              "wall s"]
    rows = [titles] + [
        [run.name, run.what, f"{run.prompts}", f"{run.prefill_seconds:.2f}", f"{1000 * run.median_ttft_seconds:.1f}",
         f"{run.prompt_tokens:,}", f"{run.computed_tokens:,}", f"{run.hot_tokens:,}", f"{run.cold_tokens:,}",
         f"{run.wall_seconds:.2f}"] for run in runs]
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    return "\n".join(
        "  ".join(cell.ljust(width) if column < 2 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows)


def report(demo, runs, checks, seconds):
    """The table, a reply, and one line per check."""
    request = json.loads(demo.prompts["c"][0])
    words = " ".join(runs[0].lines[request["id"]]["text"].split())
    print(f"\n{table(runs)}\n\nTTFT: time to first token. From RAM: the hot tier, or a request that ran at the same time.")
    print(f"One reply: ...{request['prompt'].split(chr(10))[-1]} [{words}]\n")
    for check in checks:
        print(f"{'ok  ' if check.passed else 'FAIL'}  {check.name}: {check.found}")
    failed = sum(not check.passed for check in checks)
    print(f"\n{len(checks) - failed} of {len(checks)} checks passed, {seconds:.0f} s.")


def run_all(arguments, folder):
    """Makes the runs in `folder` and prints the results; returns whether all checks passed."""
    began = time.monotonic()
    say = (lambda text: None) if arguments.json else (lambda text: print(text, flush=True))
    demo = Demo(arguments.pfx, arguments.assets, folder, say)
    try:
        runs, checks = make_runs(demo)
    finally:
        demo.end_all()
    figures, reuse = reuse_checks(demo, *runs[1:4])
    checks = [same_outputs(runs)] + reuse + checks
    passed = all(check.passed for check in checks)
    seconds = time.monotonic() - began
    if arguments.json:
        shown = [{key: value for key, value in asdict(run).items() if key != "lines"} for run in runs]
        print(json.dumps({
            "passed": passed, "seconds": round(seconds, 3), **figures, "runs": shown,
            "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        report(demo, runs, checks, seconds)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pfx", type=Path)
    parser.add_argument("assets", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    # A path with spaces, on purpose: it must work.
    folder = Path(tempfile.mkdtemp(prefix="prefixstore demo "))
    try:
        return 0 if run_all(arguments, folder) else 1
    except Failure as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 3
    finally:
        if arguments.keep:
            print(f"demo: the working folder is {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
