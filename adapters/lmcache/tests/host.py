"""LMCache's adapter over the client in a process of its own: host.py PARAMETERS COMMANDS, both JSON.

A command is a word and a number of chunks: store, lookup, load; or kill, which ends the process with SIGKILL.
"""

import json
import os
import signal
import sys

from support import Cache, key_of

cache = Cache(json.loads(sys.argv[1]))
for word, count in json.loads(sys.argv[2]):
    if word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    print("RESULT " + json.dumps(getattr(cache, word)([key_of(number) for number in range(count)])), flush=True)
cache.close()
