"""The bytes that wait for one slow client.

What waits are references: a broadcast that stalls for a thousand clients exists once. Only what
the transport takes next is joined, and an entry is never split over two chunks, so that a chunk
ends where a WebSocket frame ends. That lets a close frame jump the queue.
"""

from __future__ import annotations

from collections import deque

CHUNK_SIZE = 64 * 1024  # bytes; small entries are joined up to this for the transport


class Backlog:
    """A queue of bytes that is fed to a transport chunk by chunk.

    Attributes:
        size: Bytes that the kernel has not taken: those that wait and those of the chunk that
            `take` returned last.
    """

    __slots__ = ("_entries", "_taken", "size")

    def __init__(self) -> None:
        self._entries: deque[bytes | memoryview] = deque()
        self._taken = 0  # bytes of the last chunk, which the transport still has
        self.size = 0

    def append(self, data: bytes | memoryview) -> None:
        """Queue whole frames, or the rest of a frame whose beginning was sent."""
        self._entries.append(data)
        self.size += len(data)

    def take(self) -> bytes:
        """Return the next chunk, at least one entry, or nothing when nothing waits.

        Calling it says that the chunk returned before has gone.
        """
        self.size -= self._taken
        entries = self._entries
        chunk: list[bytes | memoryview] = []
        length = 0
        while entries and (not chunk or length + len(entries[0]) <= CHUNK_SIZE):
            entry = entries.popleft()
            chunk.append(entry)
            length += len(entry)
        self._taken = length
        return b"".join(chunk)

    def drop(self) -> None:
        """Forget what waits, but not the chunk that was taken."""
        self._entries.clear()
        self.size = self._taken
