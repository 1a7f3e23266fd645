"""Everything that Shardlayer raises on purpose.

One base class, so that an application can catch all of it; below it the caller's fault
(`ConfigurationError`, `MessageTooLarge`), the peer's (`WireError`), the data's (`ScriptFailed`) and
the world's (`ShardUnavailable`, `LoopEnded`) are told apart. A class's docstring is its default
message.
"""

from __future__ import annotations

from collections.abc import Sequence


class ShardLayerError(Exception):
    """Shardlayer could not do what it was asked to do."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class ConfigurationError(ShardLayerError):
    """A setting is wrong."""


class MessageTooLarge(ShardLayerError):
    """A message is larger than the layer's limit.

    Attributes:
        size: The message's size in bytes.
        limit: What the layer takes, in bytes (`max_message_size`).
    """

    def __init__(self, *, size: int, limit: int) -> None:
        super().__init__(f"The message has {size:,} bytes; the limit is {limit:,} bytes.")
        self.size = size
        self.limit = limit


class ShardUnavailable(ShardLayerError):
    """A shard's Redis server did not answer in time.

    Whether the publication was applied is unknown: the server may have taken it and its answer
    may have been lost.

    Attributes:
        shard: The shard's number, from 0.
        server: The address of its Redis server, without a password.
    """

    def __init__(self, *, shard: int, server: str, reason: str = "") -> None:
        because = f": {reason}" if reason else "."
        super().__init__(f"Shard {shard} on {server} is not available{because}")
        self.shard = shard
        self.server = server
        self._reason = reason

    def about(self, shard: int) -> ShardUnavailable:
        """Return this as the error of another shard, which was to be published to with this one."""
        if shard == self.shard:
            return self
        error = ShardUnavailable(shard=shard, server=self.server, reason=self._reason)
        error.__cause__ = self.__cause__
        return error


class ScriptFailed(ShardLayerError):
    """A script or a command failed because of what a key of the layer holds.

    It would fail again, so it is not tried again. What it was meant to do was not done.

    Attributes:
        script: The script's name, or the command's.
        names: The rooms, groups or channels that it was for, as far as known.
        shard: The number of their shard, or of one of them.
        server: The address of its Redis server, without a password.
        reason: What the server said.
    """

    def __init__(
        self, *, script: str, names: Sequence[str], shard: int, server: str, reason: str
    ) -> None:
        about = f" for {', '.join(names)}" if names else ""
        super().__init__(f"{script} failed on shard {shard} on {server}{about}: {reason}")
        self.script = script
        self.names = tuple(names)
        self.shard = shard
        self.server = server
        self.reason = reason


class LoopEnded(ShardLayerError, RuntimeError):
    """The event loop that was to do the work was closed or stopped before the work was done."""


class UndecodableMessage(ShardLayerError):
    """A Channels message can't be decrypted or decoded."""


class WireError(ShardLayerError):
    """Another process sent bytes that do not have the form of wire.py."""


class WireVersionError(WireError):
    """A batch has a version that this process does not know.

    Attributes:
        version: The version byte that was read.
        known: The versions that this process reads.
    """

    def __init__(self, *, version: int, known: tuple[int, ...]) -> None:
        listed = ", ".join(map(str, known))
        super().__init__(
            f"A batch of wire version {version} arrived; this process reads {listed}. Another "
            f"process runs another release of shardlayer: restart this one with that release."
        )
        self.version = version
        self.known = known
