"""What a command fails with that has the layer do something."""

from __future__ import annotations

from django.core.management.base import CommandError

from shardlayer import ShardUnavailable


def layer_failure(error: Exception) -> CommandError:
    """Return the error of a command; of a server that did not answer, that nobody knows."""
    if isinstance(error, ShardUnavailable):
        return CommandError(f"{str(error).rstrip('.')}. It may or may not have been done.")
    return CommandError(str(error))
