"""Counts the replies that a prefix cache on disk changes. tools/engines/equality describes the options."""

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import child
from process import HERE, environment
from prompts import prompts
from states import Count, Reference, States

DOCUMENT = HERE.parents[2] / "docs" / "engines" / "equality.md"
STATES = ("cold", "warm", "restart", "crash", "small quota")
OURS = "PrefixStore"


def row(title, cache, counts, at):
    """A line of the table: replies that differ, of how many, and the share of prompt tokens that were reused."""
    cells = []
    for state in STATES:
        count = counts[state]
        if not isinstance(count, Count):
            cells.append(count or "no bound")
            continue
        cell = f"{count.differing:,} of {count.served:,}"
        if count.otherwise_rounded:
            cell += f" ({count.otherwise_rounded:,} rounded)"
        if count.failed:
            cell += f", {count.failed:,} failed"
        cells.append(f"{cell}; {count.reused_tokens / max(1, count.prompt_tokens):.0%}")
    return f"| {title} | {cache} | " + " | ".join([*cells, at]) + " |"


def head():
    return "| engine | cache | " + " | ".join([*STATES, "run at"]) + " |\n" + "| --- " * (len(STATES) + 3) + "|"


def today():
    """The commit, "-dirty" when files differ from it, and the day."""
    describe = ["git", "describe", "--always", "--dirty", "--match="]
    commit = subprocess.run(describe, cwd=HERE, capture_output=True, text=True, check=True).stdout.strip()
    return f"{commit}, {datetime.date.today()}"


def is_good(counts):
    """Whether no reply differs, no request failed, and something was reused after a restart."""
    present = [count for count in counts.values() if isinstance(count, Count)]
    return counts["restart"].reused_tokens > 0 and not any(count.differing or count.failed for count in present)


def is_seen(counts):
    """Whether the replies tell that a cache is wrong."""
    return counts["restart"].differing > 0


def run(name, arguments, at, lines):
    """All caches of an engine. Appends to the lines of the table; whether ours is good, and what is wrong was seen."""
    engine = child.load(name)
    prepared = environment(engine)
    made = prompts(arguments.prompts, arguments.seed)
    folder = Path(tempfile.mkdtemp(prefix="pfx-replies-"))
    good = True
    try:
        reference = Reference(name, prepared, folder)
        for cache in engine.caches:
            begin = time.monotonic()
            place = folder / cache.replace(" ", "-")
            place.mkdir()
            counts = States(name, engine, prepared, cache, reference, place, made, arguments.seed).run()
            lines.append(row(engine.title, cache, counts, at))
            print(f"{lines[-1]}  {time.monotonic() - begin:.0f} s", flush=True)
            good = good and (cache != OURS or is_good(counts)) and (cache != engine.control or is_seen(counts))
        of, distinct = reference.distinct()
        print(f"{engine.title}: {distinct:,} of {of:,} replies of the engine itself are distinct.", flush=True)
        reference.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return good


def write(lines, arguments, titles):
    """Puts lines of the table into the document, in place of those of the same engines. Others stay, if `titles`, which
    has those of all engines in their order, still has theirs."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    note = (
        f"`tools/engines/equality --prompts {arguments.prompts} --seed {arguments.seed}`, {os.cpu_count()} cores"
        f"{', ' + processor[1] if processor else ''}:")
    text = DOCUMENT.read_text()
    begin, end = "<!-- the table -->\n", "<!-- its end -->"
    before, rest = text.split(begin)
    old, after = rest.split(end)
    written = {title_of(line) for line in lines}
    kept = [line for line in old.splitlines() if line.startswith("| ") and title_of(line) not in written]
    known = [line for line in lines + kept if title_of(line) in titles]
    table = sorted(known, key=lambda line: titles.index(title_of(line)))
    DOCUMENT.write_text(before + begin + "\n".join([note, "", head(), *table]) + "\n" + end + after)


def title_of(line):
    """The engine of a line of the table."""
    return line.split(" | ")[0].removeprefix("| ")


def main():
    names = sorted(path.stem for path in (HERE / "drivers").glob("*.py"))
    parser = argparse.ArgumentParser(prog="tools/engines/equality", description=__doc__)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--engines", default=",".join(names), help=f"of {', '.join(names)}; or the path of a driver")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    chosen = arguments.engines.split(",")
    for name in chosen:
        if name not in names and not name.endswith(".py"):
            parser.error(f"there is no engine {name!r}; there are {', '.join(names)}")
    if arguments.prompts < 4:
        parser.error("--prompts: 4 or more")
    print(head(), flush=True)
    lines, at = [], today()
    # All of them run, also behind one that is not good.
    good = [run(name, arguments, at, lines) for name in chosen]
    if arguments.write:
        write(lines, arguments, [child.load(name).title for name in names])
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
