"""Rooms in memory for tests, and what was published to them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from channels.layers import channel_layers
from django.utils.module_loading import import_string

from realtime.access.errands import drop_errands
from realtime.rooms.room_names import is_room_name
from realtime.testing.kept_transactions import keep_transactions
from realtime.testing.realtime_communicator import RealtimeCommunicator
from shardlayer import Position, ShardedChannelLayer

PATIENCE = 10.0  # seconds that a publication in the background is waited for

# What speaks of Redis servers, and has no meaning in memory.
_OF_SERVERS = ("hosts", "cluster", "wait_replicas")


@dataclass(frozen=True, slots=True)
class CapturedPublication:
    """What a test published.

    Attributes:
        room: Its name; None of an announcement, which has no room.
        data: As a client gets them: parsed from their JSON.
        exclude: The id of the client that was left out; empty if none was.
    """

    room: str | None
    data: Any
    exclude: str = ""


class MemoryRooms:
    """The rooms of one test: nothing of it leaves this process.

    Attributes:
        publications: What was published since the test began, in order.
    """

    def __init__(self) -> None:
        self.publications: list[CapturedPublication] = []
        self._captures = [self.publications]
        self._name = uuid4().hex
        self._servers: dict[str, str] = {}  # in memory, by what stands in for
        self._layers: list[ShardedChannelLayer] = []

    @contextmanager
    def captured_publications(self) -> Iterator[list[CapturedPublication]]:
        """Capture what is published within the block, in order."""
        capture: list[CapturedPublication] = []
        self._captures.append(capture)
        try:
            yield capture
        finally:
            # By identity: another capture may have equal contents.
            self._captures = [other for other in self._captures if other is not capture]

    def communicator(self, **options: Any) -> RealtimeCommunicator:
        """Return a WebSocket client; the options are those of `RealtimeCommunicator`."""
        return RealtimeCommunicator(**options)

    def note(self, room: str | None, data: bytes, exclude: str = "") -> None:
        """Note what was published."""
        if room is None or is_room_name(room):  # others are between our own processes
            for capture in self._captures:
                capture.append(CapturedPublication(room, json.loads(data), exclude))

    def layer(self, alias: str, make: Callable[[str], Any]) -> Any:
        """Return a layer in memory with the settings of an alias; other backends are left alone."""
        settings = channel_layers.configs[alias]
        backend = import_string(settings["BACKEND"])
        if not issubclass(backend, ShardedChannelLayer):
            return make(alias)
        config = dict(settings.get("CONFIG", {}))
        instead_of = repr(config.get("hosts"))
        server = self._servers.setdefault(instead_of, f"memory://{self._name}-{len(self._servers)}")
        for name in _OF_SERVERS:
            config.pop(name, None)
        kind = type(backend.__name__, (_NotedLayer, backend), {"_rooms": self})
        layer = kind(**config, hosts=[server])
        self._layers.append(layer)
        return layer

    def close(self) -> None:
        """End the layers' threads. The loops of asynchronous tests end what is theirs."""
        with ThreadPoolExecutor(1) as executor:  # an event loop may run in this thread
            for layer in self._layers:
                executor.submit(asyncio.run, layer.close()).result()


class _NotedLayer(ShardedChannelLayer):
    """Tells `_rooms` what is published."""

    _rooms: MemoryRooms

    async def publish(self, room: str, data: bytes, **options: Any) -> Position | None:
        position = await super().publish(room, data, **options)
        self._rooms.note(room, data, options.get("exclude", ""))
        return position

    async def publish_many(
        self, items: Sequence[tuple[str, bytes]], *, exclude: str = ""
    ) -> list[Position | None]:
        positions = await super().publish_many(items, exclude=exclude)
        for room, data in items:
            self._rooms.note(room, data, exclude)
        return positions

    async def announce(self, data: bytes, **options: Any) -> None:
        await super().announce(data, **options)
        self._rooms.note(None, data)

    def publish_soon(
        self,
        room: str,
        data: bytes,
        *,
        told: Callable[[BaseException | None], object],
        **options: Any,
    ) -> None:
        """Publish, and wait for it: a test looks at once. The work is another thread's."""
        done = threading.Event()

        def tell(error: BaseException | None) -> None:
            told(error)
            done.set()

        super().publish_soon(room, data, told=tell, **options)
        done.wait(PATIENCE)


_active: MemoryRooms | None = None


@contextmanager
def memory_rooms() -> Iterator[MemoryRooms]:
    """Keep the rooms of all layers in memory within the block. They are empty in the beginning.

    The rest of CHANNEL_LAYERS still applies, and may be overridden within the block. Nested
    blocks share the rooms of the outer one.
    """
    global _active
    if _active is not None:
        yield _active
        return
    keep_transactions()
    rooms, before, make = MemoryRooms(), channel_layers.backends, channel_layers.make_backend
    channel_layers.make_backend = lambda alias: rooms.layer(alias, make)
    channel_layers.backends = {}
    _active = rooms
    try:
        yield rooms
    finally:
        _active = None
        channel_layers.make_backend = make
        channel_layers.backends = before
        drop_errands()  # such as to tell that a user was deleted
        rooms.close()


@contextmanager
def captured_publications() -> Iterator[list[CapturedPublication]]:
    """Capture what is published within the block, in order; needs neither Redis nor pytest.

    Outside of `memory_rooms()`, it begins such a block.
    """
    with memory_rooms() as rooms, rooms.captured_publications() as captured:
        yield captured
