"""`manage.py realtime kafka`: the pool of all machines, and what waits in Kafka."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import CommandParser

from realtime.conf import conf
from realtime.management.figures_text import UNKNOWN, duration, milliseconds, number, rate
from realtime.management.looking_command import LookingCommand, not_answering
from realtime.management.tables import table
from realtime.operations import KafkaStatus, kafka
from realtime.operations.kafka_look import KAFKA_FACTOR, look_at_kafka
from realtime.operations.kafka_partitions import KafkaPartition, kafka_partitions

MEMBER_HEAD = (
    *("Member", "Group", "Host", "PID", "Consumers"),
    *("Records/s", "Age p99", "Skipped", "Reported"),
)
BROKERS_HEAD = ("Partition", "State", "Read by", "Lag", "Committed", "End")
PARTITION_HEAD = ("Partition", "Member", "Lag", "Position", "State")
SHOWN_PARTITIONS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokersView:
    """What Kafka's brokers say, together with what the pools told Redis.

    Attributes:
        partitions: Of all topics; those that no pool reads too.
        lag: Records that wait, at most; None: unknown.
        missing: Topics that are not there.
        why: Why the brokers' part is unknown; empty: it is known.
    """

    partitions: Sequence[KafkaPartition]
    lag: int | None
    missing: Sequence[str]
    why: str


class KafkaCommand(LookingCommand):
    """Looks at what the pool's processes have told Redis; at Kafka only when asked to."""

    help = (
        "Show the Kafka pool: its processes, their partitions with lag and pauses, and how many "
        "dead letters there are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whom to ask."""
        super().add_arguments(parser)
        parser.add_argument(
            "--brokers",
            action="store_true",
            help="Ask Kafka's brokers for all partitions. This works without a pool or Redis, too.",
        )

    def look(self, *, brokers: bool = False, **options: Any) -> KafkaStatus | BrokersView:
        """Return the pool."""
        pools = kafka()
        if not brokers:
            return pools
        look = async_to_sync(look_at_kafka)(within=KAFKA_FACTOR * conf().check_timeout)
        return BrokersView(
            partitions=kafka_partitions(look, pools),
            lag=None if look.group is None else look.group.lag,
            missing=() if look.group is None else look.group.missing,
            why=look.why,
        )

    def why_unknown(self, found: KafkaStatus | BrokersView) -> str:
        """Say why it is not known what the pool does."""
        if isinstance(found, BrokersView):
            return found.why and f"The state of Kafka's brokers is unknown. {found.why}"
        if not found.is_known:
            return f"The state of the pool is unknown. {found.why}"
        return not_answering(found.silent)

    def lines(self, found: KafkaStatus | BrokersView) -> Iterator[str]:
        """Yield a table of members, one of partitions, and the dead letters."""
        if isinstance(found, BrokersView):
            yield from _brokers_lines(found)
            return
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


def _brokers_lines(found: BrokersView) -> Iterator[str]:
    for topic in found.missing:
        yield f"There is no topic {topic} yet."
    yield from table(
        BROKERS_HEAD,
        [
            (
                f"{each.topic}/{each.partition}",
                "no pool reads this" if each.state == "unread" else each.state,
                each.reader or "-",
                number(each.lag, none=UNKNOWN),
                "none yet" if each.committed == -1 else number(each.committed, none=UNKNOWN),
                number(each.end, none=UNKNOWN),
            )
            for each in found.partitions[:SHOWN_PARTITIONS]
        ],
    )
    hidden = len(found.partitions) - SHOWN_PARTITIONS
    if hidden > 0:
        yield f"… and {hidden:,} more."
    yield ""
    yield f"Lag  {number(found.lag, none=UNKNOWN)}"
