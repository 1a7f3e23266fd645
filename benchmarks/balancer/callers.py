"""`python -m benchmarks.balancer.callers`: clients that come, say little and go.

One epoll loop that does as little as it can, since it has the same CPUs as what is measured.
"""

from __future__ import annotations

import asyncio
import select
import socket
import time
from typing import Any

from benchmarks.conversation import obey
from benchmarks.statistics import percentile
from benchmarks.swarm.client import HEADERS_END, upgrade_request
from realtime.loadtest.client_frames import TEXT, masked_frame

PATIENCE = 60.0  # seconds without any event
READ_SIZE = 64 * 1024  # bytes
MESSAGE = masked_frame(TEXT, b"x" * 100)
ECHO_SIZE = 2 + 100  # bytes of the frame that comes back


class _Caller:
    """One connection: its socket, and what is still to come."""

    __slots__ = ("echoes", "open", "socket", "waits")

    def __init__(self, port: int, messages: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(("127.0.0.1", port))
        self.open = False
        self.echoes = messages
        self.waits = 0  # bytes of the echo that is on its way


async def call(*, port: int, count: int, at_once: int, messages: int) -> dict[str, Any]:
    """Open connections, `at_once` at a time; each sends its messages one by one, then leaves.

    Returns:
        `seconds` for all of it, and how many `failed`.
    """
    request = upgrade_request("/", port)
    epoll = select.epoll()
    callers: dict[int, _Caller] = {}
    begun = done = failed = 0
    started = time.monotonic()

    def end(descriptor: int) -> None:
        nonlocal done
        epoll.unregister(descriptor)
        callers.pop(descriptor).socket.close()
        done += 1

    while done < count:
        while begun < count and len(callers) < at_once:
            caller = _Caller(port, messages)
            callers[caller.socket.fileno()] = caller
            epoll.register(caller.socket, select.EPOLLOUT)
            begun += 1
        events = epoll.poll(PATIENCE)
        if not events:
            raise TimeoutError(f"{len(callers)} connections got no answer")
        for descriptor, event in events:
            caller = callers[descriptor]
            try:
                if event & select.EPOLLOUT:
                    caller.socket.send(request)
                    epoll.modify(descriptor, select.EPOLLIN)
                elif _is_done(caller):
                    end(descriptor)
            except OSError:
                failed += 1
                end(descriptor)
    seconds = time.monotonic() - started
    epoll.close()
    return {"seconds": seconds, "failed": failed}


def _is_done(caller: _Caller) -> bool:
    """Read, and say the next thing; return whether there is nothing more to say."""
    data = caller.socket.recv(READ_SIZE)
    if not caller.open:
        if not data.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(data[:60])
        if HEADERS_END not in data:
            raise ConnectionError("the answer came in pieces")
        caller.open = True
    else:
        if not data:
            raise ConnectionError("cut off")
        caller.waits -= len(data)
        if caller.waits:
            return False
    if not caller.echoes:
        return True
    caller.echoes -= 1
    caller.waits = ECHO_SIZE
    caller.socket.send(MESSAGE)
    return False


async def latencies(*, ports: list[int], count: int) -> dict[str, Any]:
    """Connect one after another, to each port in turn.

    Returns:
        `p50_ms` and `p99_ms` of each port: from `connect` to the answer to the handshake.
    """
    taken: list[list[float]] = [[] for _ in ports]
    for _ in range(count):
        for port, times in zip(ports, taken, strict=True):
            request = upgrade_request("/", port)
            started = time.perf_counter()
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
                connection.sendall(request)
                if not connection.recv(READ_SIZE).startswith(b"HTTP/1.1 101 "):
                    raise ConnectionError(f"port {port} did not accept")
                times.append((time.perf_counter() - started) * 1e3)
    ordered = [sorted(times) for times in taken]
    return {
        "p50_ms": [percentile(times, 50) for times in ordered],
        "p99_ms": [percentile(times, 99) for times in ordered],
    }


if __name__ == "__main__":
    asyncio.run(obey({"call": call, "latencies": latencies}))
