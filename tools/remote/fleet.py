"""Hosts that run the demo's prompts with one remote between them, for tools/remote/test --hosts.

A host is a network namespace with an address of its own and a folder of its own. The first computes, a second one runs
beside nothing but the remote, a third joins when the first is gone, and the first comes back when all folders are
deleted. None but the first may compute a token that another one has stored: of each prompt only the last token, which
every engine computes for its answer. All replies must be equal.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from servers import ROOT, Alone, Cluster, Network, Objects

ASSETS = ROOT / "tools/demo-assets"
TOKENS = 4


class Host:
    def __init__(self, network, pfx, folder, name):
        self.network, self.pfx, self.name = network, pfx, name
        self.folder = Path(folder)

    def batch(self, url):
        """Runs all prompts; returns the replies by their ids, tokens that were computed and not needed, and the summary."""
        prompts = "".join((ASSETS / "prompts" / f"group-{group}.jsonl").read_text() for group in "abcd")
        (self.folder / "prompts.jsonl").write_text(prompts)
        replies = self.folder / f"{self.name}-replies.jsonl"
        replies.unlink(missing_ok=True)
        done = subprocess.run(
            [*self.network.on(self.name), self.pfx, "batch", "--model", ASSETS / "checkpoint", "--input",
             self.folder / "prompts.jsonl", "--output", replies, "--max-new-tokens", str(TOKENS), "--threads", "1",
             "--store", self.folder / self.name, "--remote", url + ("&" if "?" in url else "?") + "lookup_ms=5000", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=600)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: pfx batch ended with {done.returncode}: {done.stderr[-800:]}")
        lines = [json.loads(line) for line in replies.read_text().splitlines()]
        needless = sum(
            line["prompt_tokens"] - 1 - sum(line["reused_tokens"].get(tier, 0) for tier in ("hot", "cold", "remote"))
            for line in lines)
        return {line["id"]: line["tokens"] for line in lines}, needless, json.loads(done.stdout)

    def forget(self):
        shutil.rmtree(self.folder / self.name)


def one_remote(name, network, pfx, folder, url):
    """Returns what was wrong, in words."""
    wrong = []
    hosts = {host: Host(network, pfx, folder, host) for host in network.hosts}
    expected, computed, summary = hosts["first"].batch(url)
    put = summary["store"]["remote"]["put_pages"]
    print(f"{name}: the first host computed {computed} tokens and put {put} pages", flush=True)
    if put == 0 or summary["store"]["remote"]["waiting_pages"]:
        wrong.append(f"{name}: pages of the first host did not reach the remote: {summary['store']['remote']}")

    def follow(host, what):
        replies, needless, summary = hosts[host].batch(url)
        came = summary["store"]["remote"]["fetched_pages"]
        print(f"{name}: {what} computed {needless} tokens that were stored, and fetched {came} pages", flush=True)
        if replies != expected:
            wrong.append(f"{name}: replies differ: {what}")
        if needless or not came:
            wrong.append(f"{name}: {needless} tokens were computed again, {came} pages fetched: {what}")

    follow("second", "the second host")
    hosts["first"].forget()
    follow("third", "a third that joins when the first is gone")
    for host in ("second", "third"):
        hosts[host].forget()
    follow("first", "the first with an empty folder, all others deleted")
    return wrong


def run_hosts(pfx, is_radosgw=False):
    """Tries each remote in turn: the cluster, one Redis with TLS and access lists, and an object store."""
    wrong = []
    kinds = {"radosgw": lambda network, folder: Objects(network, folder, True)} if is_radosgw else {
        "cluster": Cluster, "tls and acl": Alone, "moto": Objects}
    for name, start in kinds.items():
        network, server = Network(("first", "second", "third")), None
        with tempfile.TemporaryDirectory(prefix="pfx-fleet-") as folder:
            try:
                server = start(network, folder)
                wrong += one_remote(name, network, pfx, folder, server.url)
            except (RuntimeError, TimeoutError, subprocess.TimeoutExpired) as error:
                wrong.append(f"{name}: {error}")
            finally:
                if server is not None:
                    server.close()
                network.close()
    return wrong
