"""Clients at work while llama-server, or prefixstore before it, is killed again and again.

    endure.py [--seconds N] [--clients N] [--seed N]        120 seconds and 8 clients when they are not given

Every complete reply must be that of a plain server to the same prompt, no process may be left over, and no file in
memory. What a supervisor such as systemd does is done here: the program is started again whenever it has ended.
Prints what happened. Exit status 1 if something of this did not hold.

A server that computes several requests in one batch rounds its sums otherwise than for each of them alone. So only
prompts are used of whose reply the model is sure: another token would have to gain more than rounding can give it.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.error
from collections import Counter
from pathlib import Path

from support import Running, free_port

WORDS = "atlas bridge candle desert engine forest garden harbor island jacket kettle lantern market needle".split()
DOCUMENTS, QUESTIONS, REPLY = 6, 8, 8
#: Least difference between the logarithms of the two likeliest tokens, at each token of a reply.
SURE = 0.05
#: Seconds that the program lives once it serves, and those from its start when it is not to get so far.
LIFE, SHORT_LIFE = (0.2, 5.0), (0.0, 1.0)
#: Seconds more than asked for, on a busy machine, until enough has happened for the result to say anything.
PATIENCE = 600
SHARED_MEMORY = Path("/dev/shm")


def sure_reply(server, prompt):
    """What a server replies to a prompt, and whether the model is sure of every token of it."""
    answer = server.post("/completion", prompt=prompt, n_predict=REPLY, temperature=0, n_probs=2)
    tops = [token["top_logprobs"] for token in answer["completion_probabilities"]]
    return answer["content"], min(top[0]["logprob"] - top[1]["logprob"] for top in tops) >= SURE


def sure_prompts(folder, chance):
    """Prompts and the replies of a plain server, of which the model is sure."""
    documents = [" ".join(chance.choices(WORDS, k=150)) for _ in range(DOCUMENTS)]
    plain = Running(folder, None)
    replies = {}
    try:
        for document in documents:
            for _ in range(QUESTIONS):
                prompt = document + " " + " ".join(chance.choices(WORDS, k=3))
                reply, is_sure = sure_reply(plain, prompt)
                if is_sure:
                    replies[prompt] = reply
    finally:
        plain.end()
    return replies


class Clients:
    """Threads that ask for completions, with and without streams, and count what they get."""

    def __init__(self, count, port, replies, seed):
        self.counts, self.wrong, self.is_over = Counter(), [], threading.Event()
        self._port, self._replies = port, replies
        self._threads = [
            threading.Thread(target=self._work, args=(random.Random(f"{seed} {number}"),)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def end(self):
        self.is_over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, chance):
        prompts = list(self._replies)
        while not self.is_over.is_set():
            prompt = chance.choice(prompts)
            try:
                reply = self._ask(prompt, is_stream=chance.random() < 0.5, hangs_up=chance.random() < 0.05)
            except (OSError, http.client.HTTPException):
                self.counts["broken off"] += 1
                self.is_over.wait(0.1)
                continue
            if reply is None:
                continue
            self.counts["complete"] += 1
            if reply != self._replies[prompt]:
                self.wrong.append((prompt, reply, self._replies[prompt]))

    def _ask(self, prompt, is_stream, hangs_up):
        """The reply; None when there is no complete one for another reason than a kill."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        body = {"prompt": prompt, "n_predict": REPLY, "temperature": 0, "stream": is_stream}
        try:
            connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
            if hangs_up:
                self.counts["hung up"] += 1
                return None
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status in (502, 503):
                raise http.client.HTTPException("the server has gone, or loads its model")
            if answer.status != 200:
                self.wrong.append((prompt, f"{answer.status} {text}", self._replies[prompt]))
                return None
            if int(answer.headers.get("X-PrefixStore-Restored-Tokens", 0)):
                self.counts["restored"] += 1
            if not is_stream:
                return json.loads(text)["content"]
            events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
            if not events or not events[-1].get("stop"):
                self.wrong.append((prompt, "a stream that ends without its last event", self._replies[prompt]))
                return None
            return "".join(event["content"] for event in events)
        finally:
            connection.close()


def wait_until_serving(running):
    while running.process.poll() is None:
        try:
            running.get("/health")
            return
        except OSError:
            time.sleep(0.05)


def one_life(folder, slots, port, chance, problems):
    """Starts the program, and kills it or its server at some moment. Returns which."""
    running = Running(folder, folder / "kv", port=port, slots=slots, wait=False)
    server = running.server()
    if chance.random() < 0.2:
        time.sleep(chance.uniform(*SHORT_LIFE))
    else:
        wait_until_serving(running)
        time.sleep(chance.uniform(*LIFE))
    victim = chance.choice(("server", "server", "prefixstore"))
    if victim == "server":
        server.kill()
        wanted = 128 + signal.SIGKILL
    else:
        running.process.kill()
        wanted = -signal.SIGKILL
    status = running.process.wait(120)
    if status != wanted:
        problems.append(f"after a kill of {victim} the status is {status}, not {wanted}: {running.said()[-2000:]}")
    if not server.has_ended(120):
        problems.append(f"the server lives on after a kill of {victim}")
    os.close(server.descriptor)
    if victim == "server" and any(slots.iterdir()):
        problems.append("files in memory are left over after a kill of the server")
    if "Traceback" in running.said():
        problems.append(running.said()[-4000:])
    return victim


def lives(folder, slots, port, seconds, working, chance, problems):
    """Lives and kills until the time is over and enough has happened, then an orderly end. Counts kills."""
    kills, begin = Counter(), time.monotonic()

    def is_over():
        is_enough = kills["server"] > 1 and working.counts["complete"] and working.counts["restored"]
        return time.monotonic() - begin > (seconds if is_enough else seconds + PATIENCE)

    while not is_over():
        kills[one_life(folder, slots, port, chance, problems)] += 1
    last = Running(folder, folder / "kv", port=port, slots=slots)
    if last.end() != 0:
        problems.append(f"the status of an orderly end is {last.process.returncode}")
    return kills


def left_over(slots):
    """Command lines of processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(slots) in words:
            found.append(words)
    return found


def endure(seconds, clients, seed):
    """Runs it. What happened, in a sentence, and what did not hold."""
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="pfx-endure-"))
    slots = Path(tempfile.mkdtemp(prefix="pfx-endure-", dir=SHARED_MEMORY))
    problems = []
    try:
        replies = sure_prompts(folder, chance)
        port = free_port()
        working = Clients(clients, port, replies, seed)
        try:
            kills = lives(folder, slots, port, seconds, working, chance, problems)
        finally:
            working.end()
        problems += [f"a process is left over: {words}" for words in left_over(slots)]
        problems += [f"a file in memory is left over: {path}" for path in slots.iterdir()]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(slots, ignore_errors=True)
    counts = working.counts
    problems += [f"{prompt[-60:]!r}: {reply!r} and not {wanted!r}" for prompt, reply, wanted in working.wrong]
    if len(set(replies.values())) < DOCUMENTS or not counts["complete"] or not counts["restored"] or not kills["server"]:
        problems.append("too little happened for this to say anything")
    return (
        f"{seconds} s, {clients} clients, {len(replies)} prompts, seed {seed}: {counts['complete']} complete replies, "
        f"{len(working.wrong)} of them wrong, {counts['restored']} of them with restored tokens; {counts['broken off']} "
        f"broken off, {counts['hung up']} hung up; {kills['server']} kills of the server and {kills['prefixstore']} of "
        "prefixstore"), problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    said, problems = endure(arguments.seconds, arguments.clients, arguments.seed)
    print(said)
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print("All of it held." if not problems else f"{len(problems)} problems.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
