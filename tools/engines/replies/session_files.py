"""llama.cpp's files of sequences and slots, one per prompt: finds the one that shares most with a prompt, as a program
must that uses them for a prefix cache, since llama.cpp has no index of them."""

import array
import hashlib
import struct
from pathlib import Path

# LLAMA_STATE_SEQ_MAGIC, a version, the number of tokens; then the tokens.
_HEAD = struct.Struct("<III")


class SessionFiles:
    """The files of a folder. Their tokens are read from the files, so that no file of an index can be behind."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._tokens = {}
        for path in self._folder.iterdir():
            with open(path, "rb") as file:
                head = file.read(_HEAD.size)
                # A file that was cut short by a kill has fewer than it says, or none.
                held = file.read(4 * _HEAD.unpack(head)[2]) if len(head) == _HEAD.size else b""
                self._tokens[path] = array.array("i", held[:len(held) // 4 * 4]).tolist()

    def path(self, tokens):
        """Where to save a prompt."""
        path = self._folder / hashlib.sha256(array.array("i", tokens).tobytes()).hexdigest()[:32]
        self._tokens[path] = list(tokens)
        return path

    def best(self, tokens):
        """The file that shares most with a prompt, and how many tokens that are; None and 0 if none shares any."""
        path, most = None, 0
        for candidate, held in self._tokens.items():
            shared = 0
            for one, other in zip(held, tokens):
                if one != other:
                    break
                shared += 1
            if shared > most:
                path, most = candidate, shared
        return path, most
