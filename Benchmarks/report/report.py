#!/usr/bin/env python3
"""Tables and pictures from what a benchmark printed as JSON, so that no figure in a document is typed by hand.

    report.py show FILE                       the tables of a file, as Markdown
    report.py plot FILE OUT.svg               its picture
    report.py fill DOCUMENT NAME=FILE...      puts the tables between `<!-- figures NAME -->` and `<!-- end NAME -->`
    report.py gather KIND COMMAND             makes a FILE of the JSON objects at standard input, which COMMAND printed

FILE is what `tools/bench/compare`, `pfx bench --json` or `report.py gather` wrote. A KIND is codecs, lookup or engine.
"""

import json
import os
import re
import statistics
import sys
from pathlib import Path
from xml.sax.saxutils import escape

import machine as host


def rate(size, seconds, times=1):
    """GB/s of the median; a dash when it was not measured."""
    return f"{times * size['bytes'] / statistics.median(seconds) / 1e9:.2f}" if seconds else "-"


def table(titles, rows):
    lines = ["| " + " | ".join(titles) + " |", "| --- |" + " ---: |" * (len(titles) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def mib(count):
    return f"{count / 1048576:.4g} MiB"


def seconds_text(seconds):
    """Three digits, in the unit that suits."""
    for limit, factor, unit in ((1, 1, "s"), (1e-3, 1e3, "ms"), (0, 1e6, "us")):
        if seconds >= limit:
            return f"{seconds * factor:.3g} {unit}"
    return "-"


def busy(load, cores):
    """What must be said of figures that other work has spoiled."""
    return " **The machine was busy with other work: believe the order, not the figures.**" if load > cores else ""


def machine(found):
    versions = ", ".join(f"{name} {number}" for name, number in sorted(found["versions"].items()))
    return (
        f"`{found['command']}`, {found['time']}, commit {found['commit']}: {found['processor']}, {found['cores']} cores, "
        f"{found['memory_bytes'] / 2**30:.0f} GiB, {found['system']}, huge pages {found['huge_pages']}; load average "
        f"{' to '.join(f'{load:.1f}' for load in found['load_average'])}; medians of {found['repeat']}. {versions}."
        + busy(found["load_average"][0], found["cores"]))


def size_table(size):
    memcpy = size["contenders"].get("memcpy", {}).get("get_warm")
    rows = []
    for name, row in size["contenders"].items():
        warm = row["get_warm"]
        of_memcpy = f"{statistics.median(memcpy) / statistics.median(warm):.2f}" if memcpy else "-"
        disk, memory = row.get("disk_bytes", [0])[-1], row.get("bytes_elsewhere", [0])[-1]
        stored = f"{disk / size['bytes']:.2f}" if disk else f"{memory / size['bytes']:.2f} RAM" if memory else "-"
        rows.append([
            name, rate(size, row.get("put")), rate(size, row.get("put_sync")), rate(size, warm), of_memcpy,
            rate(size, row.get("get_cold")), rate(size, row.get("get_two"), 2), stored])
    title = (
        f"{size['pages']} pages of {mib(size['page_bytes'])}, {size['shape']['element']}, {size['origin']}: GB/s "
        "(10^9 bytes of pages)")
    return title + "\n\n" + table(
        ["", "put", "put + sync", "get warm", "of memcpy", "get cold", "two processes", "bytes stored"], rows)


def opening_table(opening):
    names = list(dict.fromkeys(name for each in opening for name in each["contenders"]))
    rows = []
    for name in names:
        cells = [name]
        for each in opening:
            row = each["contenders"].get(name)
            cells += [
                seconds_text(statistics.median(row[key])) if row else "-"
                for key in ("open_seconds", "first_page_seconds")]
        rows.append(cells)
    titles = [""] + [title for each in opening for title in (f"open, {each['pages']:,} pages", "first page")]
    return f"Opening, pages of {opening[0]['page_bytes'] // 1024} KiB\n\n" + table(titles, rows)


def comparison(found):
    """The tables of `tools/bench/compare`."""
    parts = [machine(found)] + [size_table(size) for size in found["sizes"]]
    if found["opening"]:
        parts.append(opening_table(found["opening"]))
    parts.append("\n".join(f"- `{name}`: {setup}." for name, setup in found["setups"].items()))
    return "\n\n".join(parts)


def benchmark(found):
    """The table of `pfx bench --json`."""
    head = (
        f"{found['model']}, {found['element']}, codec `{found['codec']}`, {found['tokens']:,} tokens in "
        f"{found['page_count']} pages of {mib(found['page_bytes'])}, {found['pages']} pages; {found['processor']}, "
        f"{found['system']}; load average {found['load_average']:.1f}; medians of {found['repeats']}."
        + busy(found["load_average"], found["cores"]))
    rates = [
        [each["step"], f"{each['gigabytes_per_second']:.2f}", seconds_text(each["seconds"]), f"{each['of_memcpy']:.2f}"]
        for each in found["rates"]]
    facts = [
        ["open", seconds_text(found["open_seconds"])], ["match", seconds_text(found["match_seconds"])],
        ["miss", seconds_text(found["miss_seconds"])], ["times smaller", f"{found['ratio']:.2f}"]]
    for key, name in (("break_even_warm", "page cache"), ("break_even_cold", "disk")):
        if key in found:
            facts.append([f"break-even from the {name}, prefill tokens per second", f"{found[key]:,.0f}"])
    return "\n\n".join([head, table(["step", "GB/s", "time", "of memcpy"], rates), table(["", ""], facts)])


def heading(found):
    """What was run, and where."""
    return (
        f"`{found['command']}`, {found['time']}, commit {found['commit']}: {found['processor']}, {found['cores']} cores, "
        f"{found['system']}; load average {found['load_average']:.1f}." + busy(found["load_average"], found["cores"]))


def codecs(found):
    """The tables of `codec-bench`, one for each kind of pages."""
    parts = [heading(found)]
    for run in found["runs"]:
        rows = [
            [name, f"{row['ratio']:.3f}", f"{row['encode_gbps']:.2f}", f"{row['decode_gbps']:.2f}",
             f"{row['decode_gbps'] / run['memcpy_gbps']:.2f}"]
            for name, row in run.items() if isinstance(row, dict)]
        parts.append(
            f"{run['element']}, {run['pages']}; memcpy {run['memcpy_gbps']:.2f} GB/s\n\n"
            + table(["codec", "times smaller", "encode, GB/s", "decode, GB/s", "of memcpy"], rows))
    return "\n\n".join(parts)


def lookup(found):
    """The table of `tools/bench/lookup`."""
    run = found["runs"][0]
    names = {
        "hot8192": "8,192 tokens, in RAM", "hot4096": "4,096 tokens, in RAM", "cold8192": "8,192 tokens, on disk only",
        "cold4096": "4,096 tokens, on disk only", "miss": "a miss of 8,192 tokens",
        "onlyFirstToken": "a miss but for the first token"}
    rows = [
        [text, f"{run[key]['microseconds']:.1f} us", f"{run[key]['p99']:.1f} us", str(run[key]["allocations"])]
        for key, text in names.items()]
    return "\n\n".join([
        heading(found),
        f"{run['pages']:,} pages of 64 tokens; opening the store took {run['openMilliseconds']:.2f} ms.",
        table(["look-up of", "median", "99 %", "allocations"], rows)])


def engine(found):
    """The table of `engine-bench --store`."""
    rows = []
    for run in found["runs"]:
        rows.append([
            run["model"], run["codec"], f"{run['prefill_tokens_per_second']:,.0f}",
            f"{run['prefill_rate_spilling_to_plain']:.3f}", f"{run['prefill_cpu_spilling_to_plain']:.3f}",
            f"{run['first_token_milliseconds_computed']:.1f} ms", f"{run['first_token_milliseconds_from_ram']:.2f} ms",
            f"{run['first_token_milliseconds_after_restart']:.2f} ms", f"{run['first_token_restart_to_ram']:.3f}"])
    return heading(found) + "\n\n" + table(
        ["model", "codec", "prefill, tokens/s", "rate while spilling", "CPU time with the spill", "first token, computed",
         "from RAM", "after a restart", "restart to RAM"], rows)


def gather(kind, command):
    """The objects at standard input with what was run, and where, around them."""
    text, runs, decoder = sys.stdin.read().strip(), [], json.JSONDecoder()
    while text:
        run, end = decoder.raw_decode(text)
        runs.append(run)
        text = text[end:].lstrip()
    if not runs:
        sys.exit("report: nothing to gather")
    return {**host.about(), "kind": kind, "command": command, "load_average": os.getloadavg()[0], "runs": runs}


def bars(title, subtitle, groups):
    """Horizontal bars in SVG. `groups`: a name, and bars of (name, value, colour), each."""
    largest = max((value for _, rows in groups for _, value, _ in rows), default=1) or 1
    lines, top = [], 70
    for name, rows in groups:
        lines.append(f'<text x="16" y="{top + 16}" font-weight="bold" fill="#1f2328">{escape(name)}</text>')
        top += 26
        for label, value, colour in rows:
            width = 420 * value / largest
            lines += [
                f'<text x="212" y="{top + 15}" text-anchor="end" fill="#1f2328">{escape(label)}</text>',
                f'<rect x="220" y="{top + 2}" width="{width:.1f}" height="17" fill="{colour}"/>',
                f'<text x="{226 + width:.1f}" y="{top + 15}" fill="#1f2328">{value:.2f}</text>']
            top += 22
        top += 12
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {top + 8}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="18" fill="#1f2328">{escape(title)}</text>',
        f'<text x="16" y="50" fill="#59636e">{escape(subtitle)}</text>']
    return "\n".join(head + lines + ["</svg>"]) + "\n"


def colour(name):
    return "#afb8c1" if name.startswith("memcpy") else "#0969da" if name.startswith("prefixstore") else "#d4a72c"


def comparison_plot(found):
    """Reads from the page cache and from the disk, for every page size."""
    groups = []
    for size in found["sizes"]:
        for key, what in (("get_warm", "page cache warm"), ("get_cold", "from disk")):
            rows = [
                (name, size["bytes"] / statistics.median(row[key]) / 1e9, colour(name))
                for name, row in size["contenders"].items() if row.get(key)]
            groups.append((f"{mib(size['page_bytes'])} pages, {what}", sorted(rows, key=lambda row: -row[1])))
    return bars("Reading pages, GB/s", f"{found['processor']}, {found['cores']} cores; {found['time']}", groups)


def benchmark_plot(found):
    rows = [(each["step"][:30], each["gigabytes_per_second"], colour(each["step"])) for each in found["rates"]]
    return bars(f"{found['model']}, codec {found['codec']}, GB/s", found["processor"], [("", rows)])


KINDS = {"codecs": codecs, "lookup": lookup, "engine": engine}


def show(found):
    return comparison(found) if "sizes" in found else KINDS.get(found.get("kind"), benchmark)(found)


def fill(document, figures):
    """Replaces what stands between the marks of each name."""
    text = Path(document).read_text()
    for name, path in figures:
        marks = re.compile(rf"(<!-- figures {re.escape(name)} -->\n).*?(<!-- end {re.escape(name)} -->)", re.S)
        tables = show(json.loads(Path(path).read_text()))
        text, count = marks.subn(lambda match: f"{match[1]}\n{tables}\n\n{match[2]}", text)
        if count != 1:
            sys.exit(f"report: {document} has {count} places for the figures {name}")
    Path(document).write_text(text)


def main(arguments):
    match arguments:
        case ["show", path]:
            print(show(json.loads(Path(path).read_text())))
        case ["plot", path, out]:
            found = json.loads(Path(path).read_text())
            Path(out).write_text(comparison_plot(found) if "sizes" in found else benchmark_plot(found))
        case ["gather", kind, command] if kind in KINDS:
            print(json.dumps(gather(kind, command), indent=1))
        case ["fill", document, *figures] if figures and all("=" in figure for figure in figures):
            fill(document, [figure.split("=", 1) for figure in figures])
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
