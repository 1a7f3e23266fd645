"""Publishes each message to all rooms of the benchmark."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmarks.peers.base import ROOM
from benchmarks.peers.ours.emitter import OurEmitter

ROOMS = "BENCHMARK_ROOMS"  # in the environment: how many rooms there are


def room(number: int) -> str:
    """Return the name of a room."""
    return f"{ROOM}-{number}"


class EveryRoomEmitter(OurEmitter):
    """Publishes each message once to each room, in as few calls as may be."""

    async def open(self) -> None:
        await super().open()
        self._rooms = [room(number) for number in range(int(os.environ[ROOMS]))]

    async def publish(self, messages: Sequence[bytes]) -> None:
        await self._layer.publish_many(
            [(room, message) for message in messages for room in self._rooms]
        )
