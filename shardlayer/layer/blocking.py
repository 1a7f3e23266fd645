"""Sending from code without an event loop: views, scripts, workers, threads.

What is sent goes straight to the process's background loop and the caller's thread waits. That is
`async_to_sync` without the thread and the event loop which that makes for each call.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from shardlayer.core.types import Mark, Position
from shardlayer.layer.publishing import Publishing

Result = TypeVar("Result")


class Blocking(Publishing):
    """Does what the methods of the same names without `_sync` do, and raises what they raise.

    They also raise RuntimeError in a thread with a running event loop, which they would hold up.
    """

    send: Callable[[str, dict[str, Any]], Coroutine[Any, Any, None]]
    group_members: Callable[[str], Coroutine[Any, Any, list[str]]]
    group_size: Callable[[str], Coroutine[Any, Any, int]]
    group_send: Callable[[str, dict[str, Any]], Coroutine[Any, Any, None]]

    def wait_for(
        self,
        work: Callable[[], Coroutine[Any, Any, Result]],
        instead: str = "the method without _sync",
    ) -> Result:
        """Do work that asks this layer, on the background loop, while this thread waits.

        `instead` is what a caller with an event loop should await: the error names it.
        """
        return self._engines.wait_for(work, instead)

    def send_sync(self, channel: str, message: dict[str, Any]) -> None:
        """Append a message to a channel."""
        self._engines.wait_for(lambda: self.send(channel, message))

    def group_send_sync(self, group: str, message: dict[str, Any]) -> None:
        """Send a message to all members of a group."""
        self._engines.wait_for(lambda: self.group_send(group, message))

    def group_members_sync(self, group: str) -> list[str]:
        """Return the names of the channels in a group."""
        return self._engines.wait_for(lambda: self.group_members(group))

    def group_size_sync(self, group: str) -> int:
        """Return how many channels are in a group."""
        return self._engines.wait_for(lambda: self.group_size(group))

    def publish_sync(
        self,
        room: str,
        data: bytes,
        *,
        idempotency_key: str | None = None,
        owner: str = "",
        exclude: str = "",
    ) -> Position | None:
        """Publish JSON text to a room's members and its history."""
        return self._engines.wait_for(
            lambda: self.publish(
                room, data, idempotency_key=idempotency_key, owner=owner, exclude=exclude
            )
        )

    def publish_soon(
        self,
        room: str,
        data: bytes,
        *,
        idempotency_key: str | None = None,
        exclude: str = "",
        told: Callable[[BaseException | None], object],
    ) -> None:
        """Begin to publish JSON text to a room, and return without waiting for Redis.

        From any thread, also one with a running event loop. What one thread publishes to a room
        keeps its order. `told` hears how it ended: None, or what `publish` raised. It is called in
        another thread, and must not block. The caller must bound how many are under way.

        Raises:
            RuntimeError: If the layer is being closed; `told` is not called then.
        """
        self._engines.begin(
            lambda: self.publish(room, data, idempotency_key=idempotency_key, exclude=exclude), told
        )

    def publish_many_sync(
        self, items: Sequence[tuple[str, bytes]], *, exclude: str = ""
    ) -> list[Position | None]:
        """Publish several (room, data), each room's in the given order."""
        return self._engines.wait_for(lambda: self.publish_many(items, exclude=exclude))

    def announce_sync(self, data: bytes, *, mark: Mark | None = None) -> None:
        """Tell JSON text to every sink of every node that attends."""
        self._engines.wait_for(lambda: self.announce(data, mark=mark))
