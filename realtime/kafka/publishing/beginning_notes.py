"""What a pool that begins with the latest writes beside an offset: what its group began with.

Where there is no commit, a member has to know what is new: the group, which begins with the latest,
or the partition, which it reads from its first record. So each commit says how many partitions the
topic had when the group began with it. Those were there then, whoever has committed them since, and
the others were added.

On a broker that keeps no text beside an offset, every group looks new.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiokafka import TopicPartition

_pattern = re.compile(r"begun of (\d{1,10}) partitions(?:; |\Z)")


def beginning_note(count: int) -> str:
    """Return what is committed beside an offset, if the topic had so many partitions."""
    return f"begun of {count} partitions"


def counts_in(texts: Mapping[TopicPartition, str]) -> dict[str, int]:
    """Return how many partitions topics had when the group began with them, if texts tell.

    Members of a new group may differ, if partitions are added just then. The smallest count is of a
    member that saw the topic before: what the others saw more was added since.

    Args:
        texts: What is committed beside the partitions' offsets; it may hold other notes, too.
    """
    counts: dict[str, int] = {}
    for partition, text in texts.items():
        if found := _pattern.match(text):
            count = int(found[1])
            counts[partition.topic] = min(count, counts.get(partition.topic, count))
    return counts
