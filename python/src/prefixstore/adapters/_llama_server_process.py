"""A llama-server as a child process: its command line, its end, and what this program asks of it over HTTP."""

from __future__ import annotations

import ctypes
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from email.message import Message
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ._adapter_store import KEY_VARIABLE

_PR_SET_PDEATHSIG = 1
_LAST_PORT = 65535
_BEARER = "Bearer "
#: Options that change keys and values, and whose values are files or numbers.
_CHANGING = r"--(override-kv|lora|control-vector)[\w-]*|LLAMA_ARG_(OVERRIDE_KV|LORA|CONTROL_VECTOR)\w*"
#: Those of positions.
_MOVING = r"--(rope|yarn)[\w-]*|LLAMA_ARG_(ROPE|YARN)\w*"
#: What slot files cannot carry, and why.
_BEYOND = {
    r"-md|--model-draft|-hfd|-hfrd|--hf-repo-draft|--spec-(draft-model|type)|LLAMA_ARG_(MODEL_DRAFT|SPEC\w*)":
        "slot files do not hold the state of a draft model",
    r"--context-shift|LLAMA_ARG_CONTEXT_SHIFT": "a shifted context holds other keys and values than its tokens say",
    r"--cache-reuse|LLAMA_ARG_CACHE_REUSE": "shifted chunks hold other keys and values than their tokens say",
    r"-gan|--grp-attn-n|LLAMA_ARG_GRP_ATTN_N": "self-extend moves positions",
    r"--api-prefix|LLAMA_ARG_API_PREFIX": "it looks for the endpoints of llama-server at their own paths",
}
_REFUSED = {
    r"--slot-save-path|LLAMA_ARG_SLOT_SAVE_PATH": "the folder of slots is this program's own",
    r"--ssl-\w+-file|LLAMA_ARG_SSL\w*": "it speaks plain HTTP: put TLS in front of it",
}


class CommandError(ValueError):
    """The command line of llama-server cannot be used; the message says what to change."""


class ServerError(RuntimeError):
    """llama-server answered something else than it should, or has gone."""


class CommandLine:
    """The command line of a llama-server, and what it says."""

    def __init__(self, arguments: List[str], environment: Mapping[str, str]) -> None:
        if not arguments:
            raise CommandError("Name the server behind --: prefixstore llama-server -- llama-server -m model.gguf")
        if arguments[0].startswith("-"):
            raise CommandError(
                f"Name the program of the server before {arguments[0]}: prefixstore llama-server -- llama-server "
                f"{arguments[0]} ...")
        if shutil.which(arguments[0]) is None:
            raise CommandError(
                f"There is no program {arguments[0]} to start. Install llama.cpp, or name the file of its llama-server.")
        self.arguments = arguments
        self._environment = environment
        for pattern, why in _REFUSED.items():
            if self._names(pattern):
                raise CommandError(f"Leave out {self._names(pattern)[0][0]}: {why}.")
        self.host = self.value("--host", "LLAMA_ARG_HOST") or "127.0.0.1"
        port = self.value("--port", "LLAMA_ARG_PORT") or "8080"
        if not re.fullmatch("[0-9]{1,5}", port) or int(port) > _LAST_PORT:
            raise CommandError(
                f"--port {port} is no port. Give a number from 1 to {_LAST_PORT}, or 0 for any that is free.")
        self.port = int(port)
        if self.host.endswith(".sock"):
            raise CommandError(f"--host {self.host} is a socket file, where this program cannot listen. Give an address.")
        #: The keys that the server takes from its clients; none if it takes all.
        self.api_keys = self._keys()

    def _names(self, pattern: str) -> List[Tuple[str, str]]:
        """Options and variables whose name matches, with their values."""
        found = []
        for at, argument in enumerate(self.arguments):
            name, equals, value = argument.partition("=")
            if re.fullmatch(pattern, name):
                following = self.arguments[at + 1] if at + 1 < len(self.arguments) else ""
                found.append((name, value if equals else following))
        found += [(name, value) for name, value in sorted(self._environment.items()) if re.fullmatch(pattern, name)]
        return found

    def value(self, option: str, variable: str) -> Optional[str]:
        """What an option says, or its environment variable if it is not on the command line."""
        said = self._names(re.escape(option)) or self._names(re.escape(variable))
        return said[-1][1] if said else None

    def _keys(self) -> List[str]:
        """Those of the options and of the variables, in lists and in files, as llama-server adds them up."""
        keys = [key for _, value in self._names("--api-key|LLAMA_API_KEY") for key in value.split(",")]
        for _, file in self._names("--api-key-file|LLAMA_ARG_API_KEY_FILE"):
            keys += [line for line in Path(file).read_text().splitlines() if not line.startswith("#")]
        return [key.strip() for key in keys if key.strip()]

    def beyond(self) -> Optional[str]:
        """Why slot files cannot carry what this server keeps; None if they can."""
        for pattern, why in _BEYOND.items():
            named = [name for name, value in self._names(pattern) if value not in ("0", "false", "none")]
            if named:
                return f"{named[0]}: {why}"
        return None

    def changes(self, digest: Any) -> str:
        """What changes keys and values and is not in the model's file. `digest` gives 32 bytes for a path."""
        lines = []
        for name, value in self._names(_CHANGING):
            files = [part for part in re.split(r"[,:]", value) if os.path.isfile(part)]
            lines.append(" ".join([name, value, *(digest(file).hex() for file in files)]) + "\n")
        return "".join(lines)

    def positions(self) -> str:
        """The settings of RoPE and YaRN that are not those of the model."""
        return "".join(f" {name} {value}" for name, value in self._names(_MOVING))

    def behind(self, port: int, slots: Path) -> List[str]:
        """The command line of a server that stands behind this program."""
        kept, skip = [], False
        for argument in self.arguments:
            if skip:
                skip = False
            elif argument in ("--host", "--port"):
                skip = True
            elif not argument.startswith(("--host=", "--port=")):
                kept.append(argument)
        return [*kept, "--host", "127.0.0.1", "--port", str(port), "--slot-save-path", f"{slots}/"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with(parent: int) -> None:
    """Lets the kernel end this child when its parent has gone. Before its program runs, another signal could get lost:
    Python has caught it, and does not come to handle it any more."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Server:
    """A llama-server that was started. Thread-safe."""

    def __init__(self, command: CommandLine, slots: Path) -> None:
        self.port = _free_port()
        self._keys = command.api_keys
        # The server has no use for the key of the store.
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("LLAMA_ARG_HOST", "LLAMA_ARG_PORT", KEY_VARIABLE)}
        parent = os.getpid()
        try:
            self.process = subprocess.Popen(
                # Ctrl-C in a terminal goes to all of a session: this program stores the slots, then ends the server.
                command.behind(self.port, slots), env=environment, start_new_session=True,
                preexec_fn=lambda: _die_with(parent))
        except OSError as problem:
            raise CommandError(f"{command.arguments[0]} cannot be started: {problem.strerror}.") from problem

    def connect(self, timeout: Optional[float] = None) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def admits(self, headers: Message) -> bool:
        """Whether a request has one of the server's keys, looked for as the server does."""
        given = headers.get("Authorization") or headers.get("X-Api-Key") or ""
        # Headers are read as Latin-1, and a server compares bytes.
        said = (given[len(_BEARER):] if given.startswith(_BEARER) else given).encode("latin-1", "replace")
        return not self._keys or any([hmac.compare_digest(said, key.encode()) for key in self._keys])

    def ask(self, method: str, path: str, body: Any = None, timeout: Optional[float] = None) -> Dict[str, Any]:
        """Asks the server for JSON. Raises `ServerError`."""
        connection = self.connect(timeout)
        headers = {"Content-Type": "application/json"}
        if self._keys:
            headers["Authorization"] = f"Bearer {self._keys[0]}"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise ServerError(f"{method} {path}: {answer.status} {content[:200].decode('utf-8', 'replace')}")
            return dict(json.loads(content))
        except (OSError, http.client.HTTPException, ValueError) as problem:
            raise ServerError(f"{method} {path}: {problem}") from problem
        finally:
            connection.close()

    def wait_until_ready(self, is_over: Callable[[], bool]) -> bool:
        """Waits until the model is loaded. False when the server has ended, or `is_over` says so, before."""
        while self.process.poll() is None and not is_over():
            try:
                self.ask("GET", "/health", timeout=5)
                return True
            except ServerError:
                time.sleep(0.05)
        return False

    def slot(self, number: int, action: str, file: str = "") -> None:
        self.ask("POST", f"/slots/{number}?action={action}", {"filename": file})

    def end(self, patience: float = 10) -> int:
        """Ends the server and returns its status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
