"""What a pool writes beside an offset, so that Kafka's brokers know of its pauses.

The commit after the pause removes the note. A note that an earlier member left behind is ignored:
it names that member, and a member gets a new id each time it joins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from aiokafka import TopicPartition

from realtime.kafka.publishing.partitions import PartitionWork

MAX_TEXT = 4096  # bytes that a broker keeps beside an offset (`offset.metadata.max.bytes`)

_PAUSED = "paused by "
_BETWEEN = "; "


class PauseNotes:
    """What stands beside the offsets of one membership.

    Args:
        member: Returns its id in the group.
    """

    def __init__(self, member: Callable[[], str]) -> None:
        self._member = member
        self._noted: set[TopicPartition] = set()

    def text(self, partition: TopicPartition, *, beside: str = "") -> str:
        """Return what is committed beside a partition's offset: this, and its pause behind it.

        The broker would refuse the commit if both were too long. So it tells no pause then.
        """
        if partition not in self._noted:
            return beside
        text = (beside and beside + _BETWEEN) + _PAUSED + self._member()
        return text if len(text.encode()) <= MAX_TEXT else beside

    def forget(self) -> None:
        """Begin anew, with other partitions."""
        self._noted.clear()

    def changed(
        self, paused: set[TopicPartition], work: Mapping[TopicPartition, PartitionWork]
    ) -> Iterator[PartitionWork]:
        """Note which partitions are paused; yield the work of those that have to be committed.

        Not of one of which nothing was taken: it may be held until its marks are known, and what
        is committed says whether another reader may begin without them.
        """
        for partition in sorted(paused ^ self._noted):
            one = work.get(partition)
            if one is not None and one.end is not None:
                self._noted ^= {partition}
                yield one


def is_paused_by(text: str, member: str) -> bool:
    """Tell whether a text beside an offset says that this member has paused."""
    note = _PAUSED + member
    return text == note or text.endswith(_BETWEEN + note)
