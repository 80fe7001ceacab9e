"""What clients of `prefixstore llama-server` may send: the door in front of a server that only counts."""

from __future__ import annotations

import http.client
import itertools
import json
import queue
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np
import pytest

from prefixstore.adapters import llama_server
from prefixstore.adapters._llama_server_process import CommandLine, Server
from prefixstore.adapters._llama_server_slots import Lease, Slots

KEY = "a-key-of-clients"


class Behind(BaseHTTPRequestHandler):
    """Stands for llama-server: tells what it got."""

    protocol_version = "HTTP/1.1"
    seen: List[Tuple[str, bytes]] = []
    heads: List[List[Tuple[str, str]]] = []

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        type(self).seen.append((self.path, content))
        type(self).heads.append(self.headers.items())
        status = 200 if self.headers.get("Authorization") in (None, f"Bearer {KEY}") else 401
        answer = b'{"tokens": [1, 2, 3]}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        for cookie in ("a=1", "b=2"):
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST


class CountingSlots:
    """Stands for the slots: gives each request a lease, and counts those that were not given back."""

    def __init__(self) -> None:
        self.why_aside: Optional[str] = None
        self.prompts: List[List[int]] = []
        self.leased = 0

    def step_aside(self, why: str) -> None:
        self.why_aside = why

    def begin(self, tokens: np.ndarray, wanted: Optional[int] = None) -> Any:
        self.prompts.append(tokens.tolist())
        self.leased += 1
        lease = Lease.__new__(Lease)
        lease.slot, lease.restored = type("Slot", (), {"number": 0}), 64  # type: ignore[assignment]
        return lease

    def end(self, lease: Lease, was_answered: bool) -> None:
        self.leased -= 1

    def flush(self) -> None:
        pass

    def statistics(self) -> Dict[str, Any]:
        return {"requests": len(self.prompts)}


class Door:
    """The door, with a server behind it."""

    def __init__(self, keys: Tuple[str, ...] = ()) -> None:
        Behind.seen, Behind.heads = [], []
        self.behind = ThreadingHTTPServer(("127.0.0.1", 0), Behind)
        self.proxy = llama_server._Proxy(("127.0.0.1", 0), llama_server._Handler)
        server = Server.__new__(Server)
        server.port, server._keys = self.behind.server_port, list(keys)
        self.slots = CountingSlots()
        self.proxy.behind = server
        self.proxy.slots = self.slots  # type: ignore[assignment]
        for each in (self.behind, self.proxy):
            each.daemon_threads = True
            threading.Thread(target=each.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        for each in (self.proxy, self.behind):
            each.shutdown()
            each.server_close()

    def send(self, text: bytes, *, ends: bool = False) -> bytes:
        """What comes back for these bytes, until the door closes the connection."""
        with socket.create_connection(("127.0.0.1", self.proxy.server_port), timeout=30) as client:
            client.sendall(text)
            if ends:
                client.shutdown(socket.SHUT_WR)
            answer = b""
            while True:
                part = client.recv(1 << 16)
                if not part:
                    return answer
                answer += part

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.server_port, timeout=30)
        content = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, content, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def paths(self) -> List[str]:
        return [path for path, _ in Behind.seen]


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


@pytest.fixture
def locked() -> Iterator[Door]:
    made = Door(keys=("another", KEY))
    yield made
    made.close()


# Bodies.

@pytest.mark.parametrize("length", [b"-1", b"abc", b"1_0", b"", b"99999999999999999999", b"3\r\nContent-Length: 4"])
def test_a_length_that_is_none_is_refused(door: Door, length: bytes) -> None:
    said = door.send(b"POST /completion HTTP/1.1\r\nContent-Length: %s\r\n\r\n{}" % length)
    assert said.startswith(b"HTTP/1.1 400 ") and b"Content-Length is no length" in said
    assert Behind.seen == []


def test_a_body_that_is_too_long_is_refused_before_it_comes(door: Door) -> None:
    said = door.send(b"POST /completion HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 413 ")
    said = door.send(b"POST /completion HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n")
    assert said.startswith(b"HTTP/1.1 413 ")
    assert Behind.seen == []


@pytest.mark.parametrize("chunks", [b"-5\r\nabc", b"zz\r\n", b"0x2\r\n{}\r\n0\r\n\r\n", b"\r\n", b"2\r\n{}xx\r\n0\r\n\r\n"])
def test_chunks_that_are_none_are_refused(door: Door, chunks: bytes) -> None:
    said = door.send(b"POST /completion HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert Behind.seen == []


@pytest.mark.parametrize("start", [b"Content-Length: 9\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"])
def test_a_body_that_ends_early_never_reaches_the_server(door: Door, start: bytes) -> None:
    said = door.send(b"POST /completion HTTP/1.1\r\n" + start, ends=True)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert Behind.seen == []


def test_chunks_of_any_spelling_and_fields_behind_them_are_read(door: Door) -> None:
    request = (
        b"POST /tokenize HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\nA;x=y\r\n0123456789\r\n2 \r\nab\r\n0\r\n"
        b"Sum: 1\r\n\r\n")
    door.send(request + request.replace(b"\r\n\r\nA", b"\r\nConnection: close\r\n\r\nA", 1))
    assert Behind.seen == [("/tokenize", b"0123456789ab")] * 2


@pytest.mark.parametrize("path", ["/prefixstore", "/slots/0?action=save", "/completion"])
def test_what_the_door_answers_itself_leaves_nothing_of_its_request_behind(door: Door, path: str) -> None:
    if path == "/completion":
        door.proxy.slots = None  # the model is not loaded yet
    connection = http.client.HTTPConnection("127.0.0.1", door.proxy.server_port, timeout=30)
    for _ in range(2):
        connection.request("POST", path, b'{"filename": "x"}')
        answer = connection.getresponse()
        assert answer.status == {"/prefixstore": 200, "/completion": 503}.get(path, 501)
        answer.read()
    connection.close()


# Connections.

def test_headers_that_come_more_than_once_pass_in_both_directions(door: Door) -> None:
    said = door.send(
        b"GET /props HTTP/1.1\r\nCookie: a=1\r\nX-Forwarded-For: one\r\ncookie: b=2\r\nX-Forwarded-For: two\r\n"
        b"X-Hop: here\r\nConnection: close, x-hop\r\n\r\n")
    [head] = Behind.heads
    assert [value for name, value in head if name.lower() == "cookie"] == ["a=1", "b=2"]
    assert [value for name, value in head if name == "X-Forwarded-For"] == ["one", "two"]
    assert not [name for name, _ in head if name in ("X-Hop", "Connection")]
    assert b"Set-Cookie: a=1\r\n" in said and b"Set-Cookie: b=2\r\n" in said


def test_a_second_transfer_coding_is_refused(door: Door) -> None:
    said = door.send(
        b"POST /completion HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 501 ")
    assert Behind.seen == []


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setattr(llama_server._Proxy, "most_connections", 3)
    made = Door()
    yield made
    made.close()


def test_one_connection_too_many_is_told_so_and_gets_no_thread(narrow: Door) -> None:
    address = ("127.0.0.1", narrow.proxy.server_port)
    held = [http.client.HTTPConnection(*address, timeout=30) for _ in range(3)]
    for connection in held:
        connection.request("GET", "/props")
        connection.getresponse().read()  # it is open, and has its thread
    threads = threading.active_count()
    for _ in range(5):
        with socket.create_connection(address, timeout=30) as client:
            said = client.recv(1 << 16)
            assert said.startswith(b"HTTP/1.1 503 ") and b"Too many connections" in said
    assert threading.active_count() <= threads
    for connection in held:
        connection.request("GET", "/props")
        assert connection.getresponse().read()
        connection.close()
    while b"503" in narrow.send(b"GET /props HTTP/1.1\r\nConnection: close\r\n\r\n"):
        pass  # until the threads of those that were closed have ended


def test_a_connection_that_asks_nothing_is_closed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_server._Handler, "idle_seconds", 0.05)
    assert door.send(b"") == b""
    assert door.send(b"GET /props HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert door.paths() == ["/props"]


def test_port_0_is_any_free_port_and_it_is_said_which() -> None:
    command = CommandLine(["sh", "--port", "0"], {})
    with llama_server._listen(command) as proxy:
        assert proxy.server_port > 0
    assert llama_server._address("::1", 80) == "http://[::1]:80"


# Slots.

@pytest.mark.parametrize("path", [
    "/slots/0?action=restore", "/slots/0?action=save&x=action=erase", "/%73lots/0?action=restore", "/slots/0",
    "/slots/0?action=erase&action=restore", "/slots/0?action=restore#action=erase"])
def test_slots_are_not_saved_or_restored_by_hand(door: Door, path: str) -> None:
    assert door.ask("POST", path, {"filename": "slot-1"}).status == 501
    assert Behind.seen == []
    assert door.ask("POST", "/slots/0?action=erase").status == 200


@pytest.mark.parametrize("path", ["/completion", "/infill", "/v1/messages", "/%63ompletion"])
@pytest.mark.parametrize("body", [{"lora": [{"id": 0, "scale": 0}]}, {"n_cache_reuse": 64}])
def test_whatever_changes_keys_steps_aside_on_every_endpoint(door: Door, path: str, body: Dict[str, Any]) -> None:
    door.ask("POST", path, {"prompt": [1, 2], **body})
    assert door.slots.why_aside and not door.slots.prompts
    assert door.paths() == [path]


def test_adapters_that_are_changed_by_another_spelling_of_the_path(door: Door) -> None:
    door.ask("POST", "/%6cora-adapters", [])
    assert door.slots.why_aside


@pytest.mark.parametrize("body", [
    {"prompt": [1, 2], "id_slot": 0.5}, {"prompt": [1, 2], "id_slot": True}, {"prompt": [1, 2], "id_slot": "0"},
    {"prompt": [1 << 40]}, {"prompt": [1, 2], "n": 2}, {"prompt": [1, 2], "n_cmpl": 2}, [], b"\xff", b"[" * 100_000])
def test_what_is_no_single_prompt_passes_through_as_it_came(door: Door, body: Any) -> None:
    assert door.ask("POST", "/completion", body).status == 200
    assert door.slots.prompts == []
    assert Behind.seen == [("/completion", body if isinstance(body, bytes) else json.dumps(body).encode())]


def test_no_depth_of_a_request_keeps_a_slot(door: Door) -> None:
    for depth in [*range(0, 1100, 7), *range(900, 1000)]:
        body = b'{"prompt": [1, 2], "x": ' + b"[" * depth + b"]" * depth + b"}"
        try:
            door.ask("POST", "/completion", body)
        except http.client.HTTPException:
            pass  # one that can be read and not be written is broken off
    assert door.slots.prompts and door.slots.leased == 0


# Keys.

def test_without_a_key_nobody_learns_what_is_stored(locked: Door) -> None:
    for given in ({}, {"Authorization": "Bearer wrong"}, {"X_Api_Key": KEY[:-1]}):
        answer = locked.ask("POST", "/completion", {"prompt": [1, 2], "lora": [{"id": 0}]}, **given)
        assert answer.headers["X-PrefixStore-Restored-Tokens"] is None
        for method in ("GET", "POST"):
            assert locked.ask(method, "/prefixstore", **given).status == 401
            assert locked.ask(method, "/%70refixstore", **given).status == 401
    assert locked.slots.prompts == [] and locked.slots.why_aside is None
    assert locked.paths() == ["/completion"] * 3


@pytest.mark.parametrize("given", [{"Authorization": f"Bearer {KEY}"}, {"X_Api_Key": KEY}, {"Authorization": KEY}])
def test_with_any_of_the_keys(locked: Door, given: Dict[str, str]) -> None:
    assert locked.ask("POST", "/completion", {"prompt": [1, 2]}, **given).headers["X-PrefixStore-Restored-Tokens"] == "64"
    assert locked.ask("GET", "/prefixstore", **given).status == 200
    assert locked.slots.prompts == [[1, 2]]


def test_keys_are_those_of_all_options_variables_and_files(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# for the team\nthird\n\nfourth\n")
    line = CommandLine(["sh", "--api-key", "first,second", f"--api-key-file={file}"], {"LLAMA_API_KEY": "fifth"})
    assert line.api_keys == ["first", "second", "fifth", "third", "fourth"]
    assert CommandLine(["sh"], {}).api_keys == []


# A slot that another request had while it was saved.

def test_a_slot_that_was_saved_after_it_stepped_aside_is_not_stored(tmp_path: Path) -> None:
    slots = Slots.__new__(Slots)
    slots.why_aside, slots._folder, slots._files = None, tmp_path, itertools.count()
    slots._changed, slots._work = threading.Condition(), queue.Queue(4)

    class Saving:
        def slot(self, number: int, action: str, file: str = "") -> None:
            # Meanwhile a request with adapters of its own took the slot, and the server saved it behind that.
            (tmp_path / file).write_bytes(b"keys of other adapters")
            slots.step_aside("a request brings its own adapters.")

    slots._server = Saving()  # type: ignore[assignment]
    slots._save(type("Slot", (), {"number": 0}))  # type: ignore[arg-type]
    assert slots._work.empty() and list(tmp_path.iterdir()) == []
