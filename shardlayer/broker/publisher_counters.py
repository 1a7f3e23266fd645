"""What a publisher counts, for metrics; with `LayerCounters` it makes `stats()` of a layer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class PublisherCounters:
    """Counts since the publisher was made.

    Attributes:
        published: Publications that were acknowledged.
        batches: Batches that were acknowledged.
        retries: Batches that were sent once more.
        errors: Calls that failed or were not answered in time.
        failed: Publications whose callers got ShardUnavailable or ScriptFailed.
        targeted: Publications told to just the nodes that have members.
        fallback: Publications told to all nodes because the registry could not be trusted.
        repeated: Publications that had been published before, as their mark or key says.
        messages: Pub/sub messages that it took.
        missed_messages: Group messages that normal channels missed because they were full.
    """

    published: int = 0
    batches: int = 0
    retries: int = 0
    errors: int = 0
    failed: int = 0
    targeted: int = 0
    fallback: int = 0
    repeated: int = 0
    messages: int = 0
    missed_messages: int = 0
