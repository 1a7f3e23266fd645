"""The loop that holds the connections and does what the benchmark tells it."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable

from benchmarks.conversation import Instructions
from benchmarks.greeting import Greeting
from benchmarks.stamps import ACK, read_stamp
from benchmarks.swarm.client import Client, Refused
from benchmarks.swarm.tally import Tally

_POLL = 0.2  # seconds; how late a deadline may be noticed
_LONELY = 600.0  # seconds without an instruction after which the process ends by itself


class Swarm:
    """Opens connections, and counts what they get.

    Args:
        instructions: Where the benchmark's instructions come from.
        acks: A pipe's end: for each burst that all clients have got in full, the number of its
            last message is written (benchmarks.stamps.ACK).
    """

    def __init__(self, instructions: Instructions, acks: int) -> None:
        self._instructions = instructions
        self._acks = acks
        self._epoll = select.epoll()
        self._epoll.register(instructions.fileno(), select.EPOLLIN)
        self._clients: dict[int, Client] = {}
        self._connecting: dict[int, Client] = {}
        self._greeted = 0
        self._members = 0
        self._copies = 0  # of each message
        self._tally = Tally(first=0)
        self._per_ack = 0
        self._until_ack = 0

    def run(self) -> None:
        """Obey until the instructions end."""
        while self._pump(lambda: self._instructions.waiting, _LONELY):
            asked = self._instructions.take()
            if asked is None:
                return
            match asked["do"]:
                case "open":
                    self._instructions.answer(self._open(**asked["with"]))
                case "expect":
                    self._instructions.answer(self._expect(**asked["with"]))
                case "close":
                    self._instructions.answer(self._close())
                case "bytes_read":
                    self._instructions.answer({"bytes": Client.bytes_read})
                case "collect":
                    self._instructions.answer(self._collect(**asked["with"]))

    def _open(
        self,
        *,
        port: int,
        greeting: dict[str, object],
        count: int,
        at_once: int,
        timeout: float,
        source: str | None = None,
    ) -> dict[str, float]:
        """Open `count` more connections, `at_once` at a time, until each is subscribed.

        They come from the address `source`; None is the usual one.
        """
        how = Greeting.from_json(greeting)
        started = time.monotonic()
        goal = self._greeted + count
        left = count

        def top_up() -> bool:
            nonlocal left
            while left and goal - self._greeted - left < at_once:
                client = Client(port, how, goal - left, source)
                self._connecting[client.socket.fileno()] = client
                self._epoll.register(client.socket, select.EPOLLOUT)
                left -= 1
            return self._greeted == goal

        self._pump(top_up, timeout)
        return {"subscribed": len(self._clients), "seconds": time.monotonic() - started}

    def _close(self) -> dict[str, float]:
        """End all connections, every second one with a close frame."""
        for number, client in enumerate(self._clients.values()):
            self._epoll.unregister(client.socket)
            if number % 2:
                client.leave()
            client.socket.close()
        count = len(self._clients)
        self._clients.clear()
        return {"closed": count}

    def _expect(self, *, first: int, burst: int, copies: int = 0) -> dict[str, float]:
        """Count from here on: message `first` comes next; ack each `burst`, 0 for never.

        Each message goes to so many `copies`, where not all clients are in one room and messages
        are numbered room by room; 0: to all.
        """
        self._tally = Tally(first=first)
        self._members = len(self._clients)
        self._copies = copies or self._members
        self._per_ack = self._until_ack = burst * self._members
        for client in self._clients.values():
            client.expected = first
        return {}

    def _collect(self, *, published: int, timeout: float) -> dict[str, float]:
        """Wait for the rest of `published` messages and return the slice's figures."""
        total = published * self._copies
        self._pump(lambda: self._tally.received >= total, timeout)
        cut = self._members - len(self._clients)
        return {"cut": cut, **self._tally.summary(published, self._copies)}

    def _pump(self, done: Callable[[], object], timeout: float) -> bool:
        """Serve the connections until `done()`, at most `timeout` seconds; return whether it is."""
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline:
                return False
            for descriptor, _ in self._epoll.poll(_POLL):
                if descriptor in self._clients:
                    self._serve(self._clients[descriptor])
                elif descriptor in self._connecting:
                    self._request(descriptor)
                else:
                    self._instructions.read()
        return True

    def _request(self, descriptor: int) -> None:
        client = self._connecting.pop(descriptor)
        self._epoll.modify(descriptor, select.EPOLLIN)
        client.request()
        self._clients[descriptor] = client

    def _serve(self, client: Client) -> None:
        was_ready = client.ready
        try:
            texts = client.read()
        except Refused:
            if not was_ready:
                raise  # a peer that can't be subscribed to is a broken benchmark
            descriptor = client.socket.fileno()
            self._epoll.unregister(descriptor)
            del self._clients[descriptor]
            client.socket.close()
            return
        if client.ready and not was_ready:
            self._greeted += 1
        if texts:
            self._count(client, texts)

    def _count(self, client: Client, texts: list[tuple[int, int]]) -> None:
        now = time.monotonic_ns()
        received = self._tally.received
        for start, stop in texts:
            stamp = read_stamp(client.BUFFER, start, stop)
            if stamp is not None:
                number, sent = stamp
                client.expected = self._tally.take(client.expected, number, now - sent)
        if self._per_ack:
            self._until_ack -= self._tally.received - received
            if not self._until_ack:
                self._until_ack = self._per_ack
                os.write(self._acks, ACK.pack(client.expected - 1))
