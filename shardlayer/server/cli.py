"""The command line: Daphne's, with some more options."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from daphne.cli import CommandLineInterface as DaphneCommandLine
from daphne.server import Server as DaphneServer

from shardlayer.aio.garbage import (
    GC_THRESHOLD,
    exit_quickly,
    no_collections,
    spare_collections,
)
from shardlayer.aio.open_files import raise_file_limit, room_for_connections
from shardlayer.core.compression import MAX_LEVEL, MIN_CLIENTS, MIN_SIZE, Compression
from shardlayer.server.connection_limits import ConnectionLimits
from shardlayer.server.drain import DRAIN_SECONDS
from shardlayer.server.endpoints import BACKLOG
from shardlayer.server.http_limits import HTTP_MAX_BODY_SIZE, HTTP_REQUEST_TIMEOUT
from shardlayer.server.rate import FRAME_RATE
from shardlayer.server.reading import MESSAGE_TIMEOUT
from shardlayer.server.server import Server
from shardlayer.server.shutdown import RESERVED, SHUTDOWN_TIMEOUT
from shardlayer.server.sink import CLIENT_BUFFER_LIMIT
from shardlayer.server.watchdog import BLOCKING_THRESHOLD, HANG_TIMEOUT

logger = logging.getLogger(__name__)

_LIMITS = (
    (
        *("--client-buffer-limit", "BYTES", CLIENT_BUFFER_LIMIT),
        "How much may wait for one WebSocket client before it is closed with code 4008",
    ),
    (
        *("--client-frame-rate", "FRAMES", FRAME_RATE),
        "How many WebSocket frames a second, on average over 10 s, a client may send before it is "
        "closed with code 4029",
    ),
    (
        *("--client-message-timeout", "SECONDS", MESSAGE_TIMEOUT),
        "How long a WebSocket message may take to arrive before its client is closed with 1008",
    ),
    (
        *("--http-max-body-size", "BYTES", HTTP_MAX_BODY_SIZE),
        "How large the body of a request may be before it is refused with 413",
    ),
    (
        *("--http-request-timeout", "SECONDS", HTTP_REQUEST_TIMEOUT),
        "How long a request may take to arrive, with its body, before it is refused with 408",
    ),
    (
        *("--capacity", "CONNECTIONS", 0),
        "How many connections the server may hold. Its limit on open files may allow fewer. One "
        "more WebSocket is answered with 503",
    ),
)

_OF_COMPRESSION = (
    (
        *("--websocket-compression", "LEVEL", 0),
        "How broadcasts are compressed for WebSocket clients that offer permessage-deflate, once "
        "for all of a room: 1 is fast, 9 compresses best, 0 is not at all",
    ),
    (
        *("--websocket-compression-min-size", "BYTES", MIN_SIZE),
        "The size from which on a message is compressed",
    ),
    (
        *("--websocket-compression-min-clients", "CLIENTS", MIN_CLIENTS),
        "How many clients of a room, in this process, must take compression for its messages to "
        "be compressed",
    ),
)

_TIMES = (
    (
        *("--drain-seconds", DRAIN_SECONDS),
        "Over how many seconds the WebSocket clients are sent away on SIGTERM; 0 is all at once",
    ),
    (
        *("--shutdown-timeout", SHUTDOWN_TIMEOUT),
        "How long after SIGTERM or SIGINT the process ends at the latest. Its code is 1 if it had "
        "to be ended; 0 is no limit",
    ),
    (
        *("--hang-timeout", HANG_TIMEOUT),
        "How long the event loop may stand still before the process is ended with code 1, so that "
        "its supervisor starts it again; 0 is for ever",
    ),
    (
        *("--blocking-threshold", BLOCKING_THRESHOLD),
        "If something blocks the event loop for so long, it is counted, and in development also "
        "logged; 0 turns that off",
    ),
)

_OF_CONNECTIONS = {
    "address_connections": (
        "CONNECTIONS",
        "How many connections one address may have (behind a proxy: WebSockets, by the address "
        "that it forwards) before one more is refused with 429",
    ),
    "address_handshake_rate": (
        "HANDSHAKES",
        "How many WebSockets a second, on average over 10 s, one address may ask for before one "
        "more is refused with 429",
    ),
    "http_head_size": ("BYTES", "How large a request's head may be before it is refused with 431"),
    "http_head_timeout": (
        "SECONDS",
        "How long a request's head may take before it is refused with 408",
    ),
    "http_idle_timeout": ("SECONDS", "How long an HTTP connection may wait for its next request"),
    "http_idle_connections": (
        "CONNECTIONS",
        "How many connections may wait for a request, also for their first one. Past that, the "
        "one that has waited longest is closed",
    ),
}
"""Unit and meaning of each field of ConnectionLimits."""


class CommandLineInterface(DaphneCommandLine):  # type: ignore[misc]
    """`shardlayer-daphne`: takes each option of `daphne`, which it documents with --help."""

    description = "Django HTTP/WebSocket server (Daphne with Shardlayer's WebSocket half)"

    server_class: Callable[..., DaphneServer] = Server

    def __init__(self) -> None:
        super().__init__()
        own = (
            (f"--{name.replace('_', '-')}", unit, getattr(ConnectionLimits(), name), text)
            for name, (unit, text) in _OF_CONNECTIONS.items()
        )
        for name, unit, default, text in (*_LIMITS, *own):
            self.parser.add_argument(
                name,
                type=_not_negative,
                metavar=unit,
                help=f"{text}; 0 is no limit (default: %(default)s)",
                default=default,
            )
        for name, unit, default, text in _OF_COMPRESSION:
            self.parser.add_argument(
                name,
                type=_not_negative,
                metavar=unit,
                help=f"{text} (default: %(default)s)",
                default=default,
            )
        self.parser.add_argument(
            "--backlog",
            type=_positive,
            metavar="CONNECTIONS",
            help="How many new connections may wait to be accepted, where an endpoint does not say "
            "so itself; the kernel's own limit holds as well (default: %(default)s)",
            default=BACKLOG,
        )
        self.parser.add_argument(
            "--gc-threshold",
            type=_not_negative,
            metavar="OBJECTS",
            help="How many more objects there must be for Python's garbage collector to run, once "
            "the application is loaded; 0 leaves the collector alone (default: %(default)s)",
            default=GC_THRESHOLD,
        )
        self.parser.add_argument(
            "--balancer",
            metavar="PATH",
            help="The socket of a balancer on this machine (manage.py runbalancer), which hands "
            "over connections. Without a port or another endpoint it listens nowhere else",
        )
        self.parser.add_argument(
            "--worker-name",
            metavar="NAME",
            help="What the balancer's health calls this worker (default: worker-PID)",
            default=f"worker-{os.getpid()}",
        )
        for name, seconds, text in _TIMES:
            self.parser.add_argument(
                name,
                type=_seconds,
                metavar="SECONDS",
                help=f"{text} (default: %(default)g)",
                default=seconds,
            )

    def run(self, args: Sequence[str]) -> None:
        """Decode the arguments and serve until a signal ends it."""
        options = self.parser.parse_args(args)
        if 0 < options.shutdown_timeout < options.drain_seconds + RESERVED:
            self.parser.error(
                f"--drain-seconds {options.drain_seconds:g} needs --shutdown-timeout "
                f"{options.drain_seconds + RESERVED:g} or more: the steps after it take time, too"
            )
        if options.websocket_compression > MAX_LEVEL:
            self.parser.error(f"--websocket-compression is at most {MAX_LEVEL}")
        listens = options.balancer is None or _names_endpoint(options)
        open_files = raise_file_limit()
        self.server_class = partial(
            self.server_class,
            client_buffer_limit=options.client_buffer_limit,
            client_frame_rate=options.client_frame_rate,
            client_message_timeout=options.client_message_timeout,
            compression=_compression(options),
            http_max_body_size=options.http_max_body_size,
            http_request_timeout=options.http_request_timeout,
            limits=ConnectionLimits(**{name: getattr(options, name) for name in _OF_CONNECTIONS}),
            backlog=options.backlog,
            capacity=_capacity(options.capacity, open_files),
            room=room_for_connections(open_files),
            balancer=options.balancer,
            worker_name=options.worker_name,
            listens=listens,
            drain_seconds=options.drain_seconds,
            shutdown_timeout=options.shutdown_timeout,
            hang_timeout=options.hang_timeout,
            blocking_threshold=options.blocking_threshold,
        )
        self._gc_threshold: int = options.gc_threshold
        exit_quickly()
        if not listens:
            # Daphne would say that it starts at its default port.
            args = [*args, "-e", f"balancer:{options.balancer}"]
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Where the access log goes, line by line as Daphne writes it to a file: in a pipe or a
            # container's log its last lines would come late, or be lost with the process.
            sys.stdout.reconfigure(line_buffering=True)
        with ExitStack() as self._process:
            super().run(args)

    def load_asgi_app(self, asgi_app_path: str) -> Any:
        """Import the application; what that made is there to stay."""
        with no_collections():
            application = super().load_asgi_app(asgi_app_path)
        # Before the server listens: it takes a tenth of a second.
        self._process.enter_context(spare_collections(self._gc_threshold))
        return application


def _compression(options: argparse.Namespace) -> Compression | None:
    if not options.websocket_compression:
        return None
    return Compression(
        level=options.websocket_compression,
        min_size=options.websocket_compression_min_size,
        min_clients=options.websocket_compression_min_clients,
    )


def _names_endpoint(options: argparse.Namespace) -> bool:
    return bool(options.host or options.unix_socket or options.socket_strings) or not (
        options.port is None and options.file_descriptor is None
    )


def _capacity(asked: int, open_files: int) -> int:
    """Return how many connections to hold; each is an open file."""
    room = room_for_connections(open_files)
    if room and asked > room:
        logger.warning(
            "--capacity %d needs more open files than the limit (%d) allows: the server takes %d.",
            *(asked, open_files, room),
        )
    return min(filter(None, (asked, room)), default=0)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of seconds, and not negative")
    return number


def _not_negative(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def main() -> None:
    """Serve an ASGI application: the entry point of `shardlayer-daphne`."""
    CommandLineInterface.entrypoint()
