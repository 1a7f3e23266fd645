"""What the HTTP API did in this process, since it started."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

ENDPOINTS: Final = ("publish", "announce", "batch")
DONE: Final = "ok"
PARTLY_DONE: Final = "partial"  # a batch of which some items failed


@dataclass(slots=True)
class ApiCounters:
    """Counts.

    Attributes:
        published: Publications and announcements that Redis acknowledged.
        failed: Those that may be lost, as Redis did not answer in time.
        keys_refused: Requests without a key that counts.
        forbidden: Requests for what their key does not open.
        limited: Requests past the rate of their key.
        refused: Requests that were wrong in another way, or too large.
        requests: Requests by endpoint and outcome: `ok`, `partial`, or the code of an ApiError.
    """

    published: int = 0
    failed: int = 0
    keys_refused: int = 0
    forbidden: int = 0
    limited: int = 0
    refused: int = 0
    requests: Counter[tuple[str, str]] = field(
        default_factory=lambda: Counter({(endpoint, DONE): 0 for endpoint in ENDPOINTS})
    )

    def count(self, code: str) -> None:
        """Count a request that was answered with the code of an ApiError."""
        name = _COUNTER_OF.get(code, "refused")
        setattr(self, name, getattr(self, name) + 1)


_COUNTER_OF = {
    "bad_key": "keys_refused",
    "forbidden": "forbidden",
    "rate": "limited",
    "unavailable": "failed",
    "internal": "failed",
}

counters = ApiCounters()
