"""`manage.py realtime kafka`: the pool of all machines, and what waits in Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from realtime.management.figures_text import UNKNOWN, duration, milliseconds, number, rate
from realtime.management.looking_command import LookingCommand
from realtime.management.tables import table
from realtime.operations import KafkaStatus, kafka

MEMBER_HEAD = (
    *("Member", "Group", "Host", "PID", "Consumers"),
    *("Records/s", "Age p99", "Skipped", "Said"),
)
PARTITION_HEAD = ("Partition", "Member", "Lag", "Position", "State")
SHOWN_PARTITIONS = 200


class KafkaCommand(LookingCommand):
    """Looks at what the pool's processes have told Redis, and at neither them nor Kafka."""

    help = "Show the pool: its members, their partitions with lag and pauses, dead letters."

    def look(self, **options: Any) -> KafkaStatus:
        """Return the pool."""
        return kafka()

    def why_unknown(self, found: KafkaStatus) -> str:
        """Say why it is not known what the pool does."""
        return "" if found.is_known else f"Unknown what the pool does. {found.why}"

    def lines(self, found: KafkaStatus) -> Iterator[str]:
        """Yield a table of members, one of partitions, and the dead letters."""
        if not found.is_known:
            return
        if not found.members:
            yield "No process reads Kafka."
            return
        yield from table(
            MEMBER_HEAD,
            [
                (
                    each.node,
                    each.group,
                    each.host,
                    each.pid,
                    number(each.consumers),
                    rate(each.records),
                    milliseconds(each.record_age),
                    number(each.skipped),
                    f"{duration(each.age)} ago",
                )
                for each in found.members
            ],
        )
        yield ""
        yield from table(
            PARTITION_HEAD,
            [
                (
                    f"{each.topic}/{each.partition}",
                    each.node,
                    number(each.lag, none=UNKNOWN),
                    number(each.position, none=UNKNOWN),
                    "paused" if each.is_paused else "read",
                )
                for each in found.partitions[:SHOWN_PARTITIONS]
            ],
        )
        hidden = len(found.partitions) - SHOWN_PARTITIONS
        if hidden > 0:
            yield f"… and {hidden:,} more."
        yield ""
        yield f"Lag           {number(found.lag, none=UNKNOWN)}"
        yield f"Paused        {number(found.paused, none=UNKNOWN)}"
        for topic, waiting in (found.dead_letters or {}).items():
            yield f"Dead letters  {number(waiting)} of {topic}"
        if found.dead_letters is None:
            yield f"Dead letters  {UNKNOWN}"
