"""The connections of clients: a thread for each, and a bound on how many there are."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Iterable, List, Set, Tuple

# Headers that belong to one connection. `Connection` may name more.
_OF_CONNECTION = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "content-length", "host",
}
_FULL = json.dumps({"error": {
    "code": 503, "type": "unavailable_error", "message": "Too many connections at once. Close those that are idle, or try again."}}).encode()


def named_by(values: Iterable[str]) -> Set[str]:
    """What the headers `Connection` of a message name, in small letters."""
    return {part.strip().lower() for value in values for part in value.split(",")}


def passed_on(headers: Iterable[Tuple[str, str]]) -> List[Tuple[str, str]]:
    """Headers without those of the connection, in their order; a name may come more than once."""
    kept = list(headers)
    named = named_by(value for name, value in kept if name.lower() == "connection")
    return [(name, value) for name, value in kept if name.lower() not in _OF_CONNECTION | named]


class PatientHandler(BaseHTTPRequestHandler):
    """A connection that may stand idle for less time than a request may take."""

    protocol_version = "HTTP/1.1"
    #: Seconds in which a client has to begin its request, or its next one.
    idle_seconds = 60.0
    #: Seconds in which a client has to take or give something in the middle of one: as llama-server waits.
    timeout = 3600

    def handle_one_request(self) -> None:
        self.connection.settimeout(self.idle_seconds)
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Reads the head of a request, which is under the short limit; its body is not."""
        is_good = super().parse_request()
        self.connection.settimeout(self.timeout)
        if is_good and "close" in named_by(self.headers.get_all("Connection", [])):
            self.close_connection = True
        return is_good


class BoundedServer(ThreadingHTTPServer):
    """A server with a bound on its connections. One more gets an answer that says so, and no thread."""

    daemon_threads = True
    request_queue_size = 128
    #: Most of them wait for a slot of the server, and a thread that waits costs some tens of kibibytes.
    most_connections = 512

    def __init__(self, address: Tuple[str, int], handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(self.most_connections)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self._turn_away(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def _turn_away(self, request: Any) -> None:
        # By the thread that accepts: it waits for nobody.
        request.setblocking(False)
        with suppress(OSError):
            request.sendall(
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(_FULL), _FULL))
        self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may hang up at any moment."""
        problem = sys.exc_info()[1]
        if not isinstance(problem, ConnectionError):
            self.broken_off(problem)

    def broken_off(self, problem: Any) -> None:
        """Something else has ended a request."""
