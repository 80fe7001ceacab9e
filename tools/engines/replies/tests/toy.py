"""An engine for the tests of the counting: a reply depends on all tokens, and on the batches that computed them. Its
caches are right, or wrong in one way each."""

import json
import os
import signal
import zlib
from pathlib import Path

from child import Driver


class Engine(Driver):
    title = "toy"
    prepare = "replies/tests/prepare"
    caches = ("right", "wrong rows", "another prompt", "other batches", "torn files", "PrefixStore")
    bounded = ()

    def __init__(self, cache, folder, quota):
        self.kind, self.folder = cache, Path(folder)

    @staticmethod
    def _compute(states, tokens):
        """One batch: the states behind its tokens. A state is a number that stands for keys and values."""
        made, state, begin = [], states[-1] if states else 0, len(states)
        for token in tokens:
            state = zlib.crc32(f"{state} {token} {begin}".encode())
            made.append(state)
        return made

    def _reply(self, states, tokens, count):
        """Computes the rest of a prompt, and the reply: all states, and the reply."""
        states = states + self._compute(states, tokens[len(states):])
        reply = [states[-1] % 97]
        while len(reply) < count:
            states += self._compute(states, reply[-1:])
            reply.append(states[-1] % 97)
        return states, reply

    def _stored(self):
        for path in sorted(self.folder.iterdir()):
            if self.kind == "torn files" and path.stat().st_size % 2:
                os.kill(os.getpid(), signal.SIGKILL)  # an engine that ends when it reads a bad file
            yield json.loads(path.read_text())

    def _longest(self, tokens):
        best = []
        for held, states in self._stored():
            count = 0
            while count < min(len(held), len(tokens) - 1, len(states)) and held[count] == tokens[count]:
                count += 1
            if count > len(best):
                best = states[:count]
        return best

    def serve(self, tokens, count, replied):
        states = self._longest(tokens)
        if self.kind in ("wrong rows", "PrefixStore") and len(states) > 1:
            states[-1] ^= 1
        elif self.kind == "another prompt" and not states and (held := next(self._stored(), None)):
            states = held[1][:len(tokens) - 1]
        elif self.kind == "other batches" and states:
            states = self._compute([], tokens[:len(states)])
        reused = len(states)
        states, reply = self._reply(states, tokens, count)
        replied(reused, reply)
        path = self.folder / f"{len(list(self.folder.iterdir())):06}"
        if not any(held == tokens + reply[:-1] for held, _ in self._stored()):
            text = json.dumps([tokens + reply[:-1], states])
            path.write_text(text + " " * (len(text) % 2) if self.kind != "torn files" else text)

    def live(self, tokens, cuts, count):
        states = []
        for begin, end in zip([0, *cuts], cuts):
            states += self._compute(states, tokens[begin:end])
        return self._reply(states, tokens, count)[1]
