"""Stands before an unmodified llama-server, and keeps the keys and values of its prompts through restarts.

    prefixstore llama-server [--store FOLDER] [--quota SIZE] [--key-file FILE] -- llama-server -m model.gguf ...

It starts the server behind itself, and listens where the server would. Every endpoint passes through. Before a
completion or chat completion it restores the longest stored prefix into a slot; afterwards it stores what is new. If
slot files cannot carry what this server keeps, it says so once and passes everything through.
"""

from __future__ import annotations

import argparse
import errno
import http.client
import json
import os
import queue
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import parse_qsl, unquote

from ._extras import missing

try:
    import numpy as np
except ImportError as problem:
    raise missing(problem, "llama_server", "llama") from None

from .. import PrefixStoreError
from .._exit_status import status_of
from ._adapter_store import AdapterStore
from ._llama_server_body import RefusedError, read_body
from ._llama_server_connections import BoundedServer, PatientHandler, passed_on
from ._llama_server_options import parse, words_of
from ._llama_server_process import CommandError, CommandLine, Server, ServerError
from ._llama_server_slots import Lease, Slots, say
from ._salt_file import read_salt
from ._slot_folder import SlotFolder

_COMPLETIONS = {"/completion", "/completions", "/v1/completions"}
_CHATS = {"/chat/completions", "/v1/chat/completions"}
#: What this program has done, as JSON; with POST, once all that was answered is on disk.
STATISTICS = "/prefixstore"


def _prompt_of(server: Server, path: str, body: Dict[str, Any]) -> Optional[np.ndarray]:
    """The token ids of a request, as well as they can be known from outside: a wrong guess only shortens the hit. None
    if there is not exactly one prompt of text."""
    prompt = body.get("prompt")
    if path in _CHATS:
        if "image_url" in json.dumps(body.get("messages", "")) or "input_audio" in json.dumps(body.get("messages", "")):
            return None
        prompt = server.ask("POST", "/apply-template", {**body, "stream": False})["prompt"]
    if isinstance(prompt, str):
        asked = {"content": prompt, "add_special": True, "parse_special": True}
        prompt = server.ask("POST", "/tokenize", asked)["tokens"]
    if not isinstance(prompt, list) or not prompt or not all(type(token) is int for token in prompt):
        return None
    return np.asarray(prompt, np.int32)


def _is_single(body: Dict[str, Any]) -> bool:
    """Whether a request asks for one reply."""
    return all(body.get(name, 1) == 1 for name in ("n", "n_cmpl"))


class _Handler(PatientHandler):
    """One connection of a client."""

    server: "_Proxy"
    server_version = "prefixstore"

    def log_message(self, format: str, *arguments: Any) -> None:
        """The server behind has a log of its own."""

    def relay(self) -> None:
        try:
            # Before any answer: what is left of a body would be taken for the next request.
            content = read_body(self.rfile, self.headers)
        except RefusedError as problem:
            self.close_connection = True
            return self._refuse(problem.status, "invalid_request_error", str(problem))
        # The server decodes both as well.
        path, query = unquote(self.path.partition("?")[0]), parse_qsl(self.path.partition("?")[2])
        slots = self.server.slots
        if slots is None:
            # What llama-server itself says meanwhile.
            return self._refuse(503, "unavailable_error", "Loading model")
        has_key = self.server.behind.admits(self.headers)
        if path == STATISTICS and not has_key:
            return self._refuse(401, "authentication_error", "Invalid API Key")
        if path == STATISTICS and self.command == "GET":
            return self._answer(200, slots.statistics())
        if path == STATISTICS and self.command == "POST":
            return self._flush(slots)
        actions = [value for name, value in query if name == "action"]
        if path.startswith("/slots/") and actions != ["erase"] and self.command == "POST":
            return self._refuse(
                501, "not_supported_error",
                "Slots are saved and restored by prefixstore. Leave it out to do it by hand.")
        # Whoever has no key gets the server's own answer, and learns nothing of what is stored.
        leased = self._lease(slots, path, content) if self.command == "POST" and has_key else None
        if leased is None:
            self._forward(content, None)
            return
        lease, body = leased
        was_answered = False
        try:
            was_answered = self._forward(json.dumps({**body, "id_slot": lease.number}).encode(), lease)
        finally:
            slots.end(lease, was_answered)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = relay

    def _flush(self, slots: Slots) -> None:
        try:
            slots.flush()
        except (PrefixStoreError, TimeoutError) as problem:
            return self._refuse(503, "unavailable_error", str(problem))
        self._answer(200, slots.statistics())

    def _lease(self, slots: Slots, path: str, content: bytes) -> Optional[Tuple[Lease, Dict[str, Any]]]:
        """A slot for a completion, and what the request says; None if it had better pass through."""
        if slots.why_aside is not None:
            return None
        if path == "/lora-adapters":
            slots.step_aside("the adapters of the server were changed while it ran.")
            return None
        try:
            body = json.loads(content)
            # On every endpoint: such a request gets one of the same slots.
            if body.get("lora"):
                slots.step_aside("a request brings its own adapters, which slot files do not name.")
            elif body.get("n_cache_reuse"):
                slots.step_aside("a request shifts chunks, which then hold other keys than their tokens say.")
            elif path in _COMPLETIONS | _CHATS and body.get("cache_prompt", True) and _is_single(body):
                wanted = body.get("id_slot", -1)
                tokens = _prompt_of(self.server.behind, path, body) if type(wanted) is int else None
                lease = None if tokens is None else slots.begin(tokens, wanted if wanted >= 0 else None)
                return None if lease is None else (lease, body)
        except Exception:
            pass  # the server knows best what is wrong with it
        return None

    def _forward(self, content: bytes, lease: Optional[Lease]) -> bool:
        """Passes a request on, and its answer back as it comes. Whether all of it came, and was no error."""
        connection = self.server.behind.connect()
        try:
            self._send(connection, content)
            if self._has_gone_before(connection):
                connection.close()
                self.close_connection = True
                return False
            answer = connection.getresponse()
        except ValueError as problem:
            connection.close()
            self._refuse(400, "invalid_request_error", f"The request cannot be passed on: {problem}")
            return False
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            self._refuse(502, "server_error", f"llama-server: {problem}")
            return False
        try:
            self.send_response_only(answer.status, answer.reason)
            for name, value in passed_on(answer.getheaders()):
                self.send_header(name, value)
            if lease is not None:
                self.send_header("X-PrefixStore-Restored-Tokens", str(lease.restored))
            self._copy(answer)
            return answer.status == 200
        except (OSError, http.client.HTTPException):
            # The client or the server has gone in the middle; closing the connection tells the other.
            self.close_connection = True
            return False
        finally:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, content: bytes) -> None:
        """Sends the request with all of its headers, also those that come more than once."""
        given = passed_on(self.headers.items())
        knows_coding = any(name.lower() == "accept-encoding" for name, _ in given)
        connection.putrequest(self.command, self.path, skip_accept_encoding=knows_coding)
        for name, value in given:
            connection.putheader(name, value)
        if content or self.command in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content or None)

    def _has_gone_before(self, connection: http.client.HTTPConnection) -> bool:
        """Waits for an answer of the server. Whether the client hangs up before: the server then computes for nobody."""
        waiting = select.poll()
        waiting.register(connection.sock, select.POLLIN)
        waiting.register(self.connection, select.POLLIN)
        if any(descriptor == connection.sock.fileno() for descriptor, _ in waiting.poll()):
            return False
        # Something came from the client: its end, or the beginning of its next request.
        return not self.connection.recv(1, socket.MSG_PEEK)

    def _copy(self, answer: http.client.HTTPResponse) -> None:
        has_body = self.command != "HEAD" and answer.status not in (204, 304)
        is_chunked = has_body and answer.length is None and self.request_version != "HTTP/1.0"
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif answer.length is not None:
            self.send_header("Content-Length", str(answer.length))
        else:
            self.close_connection = True
        self.end_headers()
        while has_body:
            part = answer.read1(1 << 16)
            if is_chunked:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            elif part:
                self.wfile.write(part)
            if not part:
                break
            self.wfile.flush()
        if has_body and answer.length:
            raise http.client.IncompleteRead(b"", answer.length)

    def _refuse(self, status: int, kind: str, message: str) -> None:
        """Answers an error in the form of llama-server."""
        self._answer(status, {"error": {"code": status, "type": kind, "message": message}})

    def _answer(self, status: int, content: Any) -> None:
        text = json.dumps(content).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


class _Proxy(BoundedServer):
    behind: Server
    #: None until the model is loaded.
    slots: Optional[Slots] = None

    def broken_off(self, problem: Any) -> None:
        # Without its text, which a client may have chosen: each text is said once, and remembered.
        say(f"a request was broken off: {type(problem).__name__}")



def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _listen(command: CommandLine) -> _Proxy:
    """A server at the address that llama-server was to have. Raises CommandError when that cannot be had."""
    host, port = command.host, command.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as problem:
        said = getattr(problem, "strerror", None) or str(problem)
        raise CommandError(f"--host {host} is no address ({said}). Give one of this machine, such as 127.0.0.1.") from None
    # "localhost" may be an address of IPv6 too.
    found.sort(key=lambda each: each[0] != socket.AF_INET)
    _Proxy.address_family, address = found[0][0], str(found[0][4][0])
    try:
        return _Proxy((address, port), _Handler)
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise CommandError(f"Port {port} of {host} is in use by another program. Give another --port.") from None
        raise CommandError(
            f"Nothing can listen at port {port} of {host}: {problem.strerror}. Give another --host or --port.") from None


def _follow(server: Server, ends: "queue.SimpleQueue[bool]") -> None:
    """A server that ends by itself ends this program too."""
    server.process.wait()
    ends.put(False)


def _first(ends: "queue.SimpleQueue[bool]") -> bool:
    """What ends this program. Wakes up now and then: a signal that another thread receives is handled only when this one
    runs, and does not wake it up."""
    while True:
        try:
            return ends.get(timeout=0.2)
        except queue.Empty:
            pass


def _serve(options: argparse.Namespace, command: CommandLine, folder: Path) -> int:
    # The store makes its own folder, with a mode of its own, and says what is wrong with it.
    with suppress(OSError):
        os.makedirs(os.path.dirname(os.path.abspath(options.store)), exist_ok=True)
    salt = read_salt(options.salt_file)
    # What ends this program: True for a signal. A queue, because a handler may interrupt its own thread in its calls.
    ends: "queue.SimpleQueue[bool]" = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ends.put(True))
    kept = AdapterStore(
        options.store, say, key_file=options.key_file, remote=options.remote, quota=options.quota)
    try:
        with _listen(command) as proxy:
            was_asked, status = _stand_before(proxy, kept, command, options.store, folder, salt, ends)
    finally:
        # A full disk is no fault of the server's: it is said, and changes no status.
        kept.close()
    if was_asked:
        return 0
    say(f"llama-server has ended with status {status}, and so this ends.")
    # As a shell says it when a signal has ended a program.
    return 128 - status if status < 0 else status


def _stand_before(
    proxy: _Proxy, kept: AdapterStore, command: CommandLine, store: str, folder: Path, salt: Optional[bytes],
    ends: "queue.SimpleQueue[bool]",
) -> Tuple[bool, int]:
    """Starts the server and stands before it until one of them ends. Whether a signal asked for it, and the server's
    status."""
    server = Server(command, folder)
    threading.Thread(target=_follow, args=(server, ends), daemon=True).start()
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    slots: Optional[Slots] = None
    try:
        if server.wait_until_ready(lambda: not ends.empty()):
            slots = kept.begin(lambda _: Slots(server, command, kept, folder, salt))
            proxy.behind, proxy.slots = server, slots
            # The port is the system's choice after --port 0, so it is said in any case.
            keeps = "" if slots.why_aside is not None else f"keeps prompts in {store}; "
            say(f"{keeps}listens on {_address(command.host, proxy.server_port)}")
        was_asked = _first(ends)
    finally:
        proxy.shutdown()
        proxy.server_close()
        if slots is not None:
            slots.settle()
        status = server.end()
        if slots is not None:
            slots.close()
    return was_asked, status


def main(arguments: List[str]) -> int:
    """Runs the program. Exit status: 0 ended by a signal, 2 a wrong command line, 66 to 74 as in docs/operations.md
    when the store cannot be used, otherwise that of llama-server, and 128 and the signal's number if a signal has ended
    that."""
    try:
        options = parse(arguments)
        command = CommandLine(options.command, os.environ)
        with SlotFolder(options.slots) as folder:
            return _serve(options, command, folder)
    except (CommandError, PrefixStoreError, OSError, ValueError) as problem:
        print(f"prefixstore llama-server: {words_of(problem)}", file=sys.stderr)
        return status_of(problem)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
