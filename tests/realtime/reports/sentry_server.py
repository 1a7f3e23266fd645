"""What Sentry's transport sends to: a server on this machine that remembers the events."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class SentryServer:
    """Takes envelopes; see https://develop.sentry.dev/sdk/foundations/transport/envelopes/.

    Attributes:
        dsn: Where it is.
        events: What came, in order.
    """

    def __init__(self, port: int, events: list[dict[str, Any]]) -> None:
        self.dsn = f"http://key@127.0.0.1:{port}/1"
        self.events = events

    def raised(self) -> set[str]:
        """Return the texts of all exceptions that came."""
        return {
            str(found["value"])
            for event in self.events
            for found in event.get("exception", {}).get("values", ())
        }


@contextmanager
def sentry_server() -> Iterator[SentryServer]:
    """Run one inside the block."""
    events: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            events.extend(_events_of(body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield SentryServer(server.server_port, events)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _events_of(envelope: bytes) -> Iterator[dict[str, Any]]:
    _, _, rest = envelope.partition(b"\n")
    while rest:
        line, _, rest = rest.partition(b"\n")
        if not line:
            continue
        head = json.loads(line)
        size = head.get("length")
        if size is None:
            payload, _, rest = rest.partition(b"\n")
        else:
            payload, rest = rest[:size], rest[size:].removeprefix(b"\n")
        if head["type"] == "event":
            yield json.loads(payload)
