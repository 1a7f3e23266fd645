"""Whether Kafka answers, has what the pool reads, and whether its records can be read.

A system check looks at KAFKA_ROUTE (`realtime/checks.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from django.conf import settings

from realtime.checkup.finding import CheckRequest, Finding, fault, ok, warning
from realtime.operations.kafka_look import KAFKA_FACTOR, look_at_kafka

if TYPE_CHECKING:
    from realtime.kafka.group_look import GroupLook


def check_kafka(asked: CheckRequest) -> Iterator[Finding]:
    """Yield what keeps a pool from reading; nothing where the project does not use Kafka."""
    if not any(key.startswith("KAFKA_") for key in getattr(settings, "REALTIME", {})):
        yield ok("Not used: REALTIME has no KAFKA_BOOTSTRAP_SERVERS.")
        return
    if find_spec("aiokafka") is None:
        yield fault(
            "REALTIME has settings for Kafka, but aiokafka is not installed.",
            "pip install 'shardlayer[kafka]', or remove the KAFKA_ settings.",
        )
        return
    yield from _codecs()
    look = asyncio.run(look_at_kafka(within=KAFKA_FACTOR * asked.timeout))
    if look.group is None:
        yield fault(
            look.why,
            "Start it, or correct KAFKA_BOOTSTRAP_SERVERS (and KAFKA_TLS, KAFKA_SASL_MECHANISM).",
        )
        return
    yield from _group(look.group)


def _codecs() -> Iterator[Finding]:
    from realtime.kafka.reading.unpacking import missing_codecs

    if missing := missing_codecs():
        yield fault(
            f"Records that are compressed with {' or '.join(missing)} can't be read.",
            "pip install 'shardlayer[kafka]', which brings the packages.",
        )


def _group(group: GroupLook) -> Iterator[Finding]:
    for topic in group.missing:
        yield fault(
            f"There is no topic {topic!r}; a pool waits for it.",
            f"Create it: kafka-topics.sh --create --topic {topic} --partitions 8, or correct "
            "KAFKA_TOPICS.",
        )
    topics = {each.topic for each in group.partitions}
    what = f"{len(group.partitions)} partitions of {', '.join(sorted(topics)) or 'no topic'}"
    paused = sum(each.is_paused for each in group.partitions)
    unread = [each for each in group.partitions if each.is_read is False]
    if not group.members:
        yield warning(
            f"Nobody reads {what} in the group {group.group!r}; {group.lag:,} records wait.",
            "Start a pool: python manage.py runkafka.",
        )
    elif unread:
        yield warning(
            f"Nobody reads {len(unread)} of {what}; {group.lag:,} records wait.",
            "Wait until Kafka has assigned them; see manage.py realtime kafka --brokers.",
        )
    elif paused:
        yield warning(
            f"{paused} of {what} are paused; {group.lag:,} records wait.",
            "The pool's log says which shard or topic it waits for.",
        )
    elif not group.missing:
        yield ok(
            f"Kafka answers; {len(group.members)} consumers in {group.group!r} read {what}; "
            f"{group.lag:,} records wait; all compression codecs are installed."
        )
