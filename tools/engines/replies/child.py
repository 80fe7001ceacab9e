"""The end of a child process that runs one engine with one cache.

    child.py DRIVER CACHE FOLDER QUOTA    of a file in drivers; CACHE "-" is none

Requests and answers are lines of JSON:

    {"do": "serve", "tokens": [...], "count": 16}    two answers: {"reused": ..., "reply": [...]} as soon as the reply
                                                     is there, and {} when it is stored
    {"do": "live", "tokens": [...], "cuts": [...], "count": 16}   {"reply": [...]}
    {"do": "flush"}                                  {}

The end of the input ends it.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path


class Driver:
    """One engine. A file of drivers has a class `Engine` like this one, and imports the engine in `__init__` only."""

    #: What people call the engine, with its version.
    title = ""
    #: The script that installs the engine and sets `home` and `python`, below tools/engines, with its arguments.
    prepare = ""
    #: The names of the caches that it can run with; "PrefixStore" is ours.
    caches = ("PrefixStore",)
    #: The one of them that is wrong on purpose, to show that this engine's replies would tell; "" for none.
    control = ""
    #: Those of them that a quota bounds.
    bounded = ("PrefixStore",)

    @staticmethod
    def environment(home):
        """Variables for the child beside those that `prepare` exports. May compile what the driver needs."""
        return {}

    @staticmethod
    def enter():
        """What the child must do before it imports the engine, and every process that the engine spawns from it."""

    def __init__(self, cache, folder, quota):
        """Starts the engine. `cache` is one of `caches`, or "-" for none; `folder`, which exists, is what it keeps;
        `quota` its bytes on disk, 0 for any number."""

    def serve(self, tokens, count, replied):
        """Serves a prompt, with nothing in the engine's own memory. Calls `replied(reused, reply)`: how many tokens
        came from the cache, and `count` token ids, greedily chosen. Stores prompt and reply, and returns."""

    def live(self, tokens, cuts, count):
        """Computes a prompt in batches that begin at 0 and at `cuts`; the last of them by the engine's own hit on its
        live prefix. Returns the reply. Without a cache."""

    def flush(self):
        """Waits until everything is on disk."""

    def close(self):
        """Ends the engine."""


def load(name):
    """The class of a file in drivers, or of the file of this path."""
    path = Path(name) if name.endswith(".py") else Path(__file__).parent / "drivers" / f"{name}.py"
    spec = importlib.util.spec_from_file_location("driver", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Engine


def main():
    name, cache, folder, quota = sys.argv[1:5]
    # Engines print to standard output; the answers go where it was.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**what):
        print(json.dumps(what), file=answers, flush=True)

    load(name).enter()
    engine = load(name)(cache, folder, int(quota))
    answer()
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "serve":
            engine.serve(asked["tokens"], asked["count"], lambda reused, reply: answer(reused=reused, reply=reply))
            answer()
        elif asked["do"] == "live":
            answer(reply=engine.live(asked["tokens"], asked["cuts"], asked["count"]))
        else:
            engine.flush()
            answer()
    engine.close()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
elif __name__ == "__mp_main__":  # as Python calls it in a process that was spawned
    load(sys.argv[1]).enter()
