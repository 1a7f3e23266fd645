"""Whether a batch that was not acknowledged is sent once more, and when. No I/O."""

from __future__ import annotations

from shardlayer.aio.backoff import Backoff
from shardlayer.core.exceptions import ShardUnavailable

RETRY_FIRST = 0.1  # seconds, doubled with each failure
RETRY_MAX = 1.0  # seconds


class PublishRetries:
    """The retries of one batch. Errors of a script (ScriptFailed) are none of its business.

    The server applies a batch at most once, whether or not the answer to an earlier try was lost.

    Args:
        deadline: When the batch is given up, by the loop's clock: `publish_timeout` after its
            oldest publication came.

    Attributes:
        reason: Why the last try failed that the broker could give a reason for.
    """

    def __init__(self, deadline: float) -> None:
        self.reason: ShardUnavailable | None = None
        self._deadline = deadline
        self._backoff = Backoff(RETRY_FIRST, RETRY_MAX)

    def pause_after(self, error: ShardUnavailable | TimeoutError, now: float) -> float | None:
        """Return how many seconds to wait before the next try; None: there is none."""
        if isinstance(error, ShardUnavailable):
            self.reason = error
        pause = self._backoff.failed()
        return pause if now + pause < self._deadline else None
