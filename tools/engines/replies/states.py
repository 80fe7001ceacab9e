"""The states of a cache in which its replies are compared: cold, warm, restarted, crashed, evicted."""

import random
import shutil
from dataclasses import dataclass

from process import Child, Died
from prompts import fillers
from splits import Splits

REPLY_TOKENS = 16
# The least that PrefixStore takes.
QUOTA = 4 << 20
FILLERS = 12
# Longest time between a reply and SIGKILL, in seconds: the store commits 100 ms after the first page that waits.
LONGEST_WAIT = 0.15


@dataclass
class Count:
    """What came of the prompts of one state."""

    served: int = 0
    differing: int = 0
    #: Of those that differ, how many the engine gives when it computes the prompt in other batches.
    otherwise_rounded: int = 0
    failed: int = 0
    reused_tokens: int = 0
    prompt_tokens: int = 0


class Reference:
    """Replies of the engine's own live prefix, without a cache."""

    def __init__(self, name, prepared, folder):
        self._child = Child(name, prepared, "-", folder / "reference")
        self._known = {}

    def reply(self, tokens, cuts):
        key = tuple(tokens), tuple(cuts)
        if key not in self._known:
            self._known[key] = self._child.live(tokens, list(cuts), REPLY_TOKENS)
        return self._known[key]

    def distinct(self):
        """How many replies there were, and how many different ones."""
        return len(self._known), len({tuple(reply) for reply in self._known.values()})

    def close(self):
        self._child.close()


class States:
    """One engine with one cache."""

    def __init__(self, name, engine, prepared, cache, reference, folder, prompts, seed):
        self._start = lambda store, quota=0: Child(name, prepared, cache, folder / store, quota)
        self._reference, self._prompts, self._seed = reference, prompts, seed
        self._random = random.Random(f"{name} {cache} {seed}")
        self._splits, self._child = Splits(), None
        self._is_bounded, self._is_control = cache in engine.bounded, cache == engine.control
        self._folder = folder

    def run(self):
        """Names of states, with their counts; None for a state that there is not, and "not run" for those that a
        control has no need of: what is wrong shows after a restart."""
        counts = self._kept()
        if self._is_control:
            return {**counts, "crash": "not run", "small quota": "not run"}
        counts["crash"] = self._crashed()
        counts["small quota"] = self._evicted() if self._is_bounded else None
        return counts

    def _kept(self):
        cold, warm, restart = Count(), Count(), Count()
        start = lambda: self._start("kept")
        self._child = start()
        for tokens in self._prompts:
            self._serve(tokens, cold, start)
        for tokens in self._shuffled():
            self._serve(tokens, warm, start)
        self._child.close()
        self._child = start()
        for tokens in self._shuffled():
            self._serve(tokens, restart, start)
        self._child.close()
        return {"cold": cold, "warm": warm, "restart": restart}

    def _crashed(self):
        """Kills the engine while it stores the last prompt of each part; the next process serves that part again."""
        count, start = Count(), lambda: self._start("crashed")
        self._splits = Splits()
        size = max(3, len(self._prompts) // max(2, len(self._prompts) // 20))
        before = []
        for first in range(0, len(self._prompts), size):
            part = self._prompts[first:first + size]
            self._child = start()
            for tokens in before + part[:-1]:
                self._serve(tokens, count, start)
            try:
                reused, reply = self._child.reply(part[-1], REPLY_TOKENS)
                self._compare(part[-1], reused, reply, count)
                self._child.kill(self._random.uniform(0, LONGEST_WAIT))
            except Died:
                count.failed += 1
            before = part
        self._child = start()
        for tokens in self._shuffled():
            self._serve(tokens, count, start)
        self._child.close()
        return count

    def _evicted(self):
        """Long prompts in between push others out of a small store."""
        count, start = Count(), lambda: self._start("evicted", QUOTA)
        self._splits = Splits()
        self._child = start()
        others = fillers(FILLERS, self._seed)
        step = max(1, len(self._prompts) // FILLERS)
        for _ in range(2):
            for at, tokens in enumerate(self._shuffled()):
                self._serve(tokens, count, start)
                if at % step == 0:
                    self._serve(others[at // step % FILLERS], Count(), start)
            self._child.close()
            self._child = start()
        self._child.close()
        shutil.rmtree(self._folder / "evicted")
        return count

    def _shuffled(self):
        return self._random.sample(self._prompts, len(self._prompts))

    def _serve(self, tokens, count, start):
        try:
            reused, reply = self._child.serve(tokens, REPLY_TOKENS)
            # What is on disk is what the next prompt may use: otherwise it would depend on the machine's speed.
            self._child.flush()
        except Died:
            count.failed += 1
            self._child = start()
            return
        self._compare(tokens, reused, reply, count)

    def _compare(self, tokens, reused, reply, count):
        count.served += 1
        count.reused_tokens += reused
        count.prompt_tokens += len(tokens)
        cuts = self._splits.cuts(tokens, reused)
        if cuts is None or self._reference.reply(tokens, cuts) != reply:
            count.differing += 1
            others = ((), (reused,)) if reused else ((),)
            count.otherwise_rounded += any(self._reference.reply(tokens, other) == reply for other in others)
        self._splits.served(tokens, reused, reply)
