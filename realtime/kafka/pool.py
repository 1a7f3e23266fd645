"""The pool: a few consumers of one group that share a topic's partitions among all workers.

Workers have no consumers of their own: every record is read once in the whole cluster, and the
channel layer carries it to the workers that have members of its room.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TextIO

from aiokafka import AIOKafkaConsumer

from realtime.kafka.brokers import (
    Brokers,
    check_arguments,
    wait_for_topics,
    watch,
)
from realtime.kafka.deadletter_counts import COUNT_INTERVAL, DeadLetterCounts
from realtime.kafka.deadletters import DeadLetters
from realtime.kafka.group_reader import GroupReader
from realtime.kafka.letters.postbox import Postbox
from realtime.kafka.membership import GroupMembership
from realtime.kafka.publishing.dispatch import Dispatch
from realtime.kafka.reading.size_limits import Limits
from realtime.kafka.reporting import Progress, SkippedRecords, quiet_aiokafka
from realtime.kafka.routing.header_rules import Route
from realtime.kafka.routing.route_calls import Router
from realtime.kafka.stopping import Stop
from realtime.metrics.metric_sources import PartitionFigures
from shardlayer import Histogram, ShardedChannelLayer

FETCH_WAIT = 50  # milliseconds that a broker may hold a fetch for which it has nothing
END_GRACE = 8.0  # seconds for readers that were told to stop; their own graces are shorter
POLL_LIMIT = 24 * 3600 * 1000  # milliseconds


class Pool:
    """N consumers of one group, in this process.

    Args:
        brokers: Where Kafka is.
        topics: What to read; waited for until they are there.
        group: The consumer group.
        consumers: How many; more than partitions do nothing.
        auto_offset_reset: Where a group without a committed offset starts.
        route: Names a record's rooms.
        layer: Where the records are published.
        limits: What a record may cost.
        isolation: "read_committed": records of transactions that were aborted are passed over,
            those of open ones waited for; or "read_uncommitted".
        dead_letter_suffix: Makes a topic's name that of its dead letters; None: bad records are
            skipped.
        instance: Names this process to the group, so that its restart moves no partition; None:
            it is a new member each time.
        terminal: Where the live line goes; None logs.
        options: More arguments of AIOKafkaConsumer, such as its session timeout.
        replay_group: The group whose replays of dead letters count; None: this one.

    Attributes:
        group: The consumer group.
        topics: What is read.
        consumers: How many there are here.

    Raises:
        KafkaSettingsError: AIOKafkaConsumer does not take one of them.
    """

    def __init__(
        self,
        *,
        brokers: Brokers,
        topics: Sequence[str],
        group: str,
        consumers: int,
        auto_offset_reset: str,
        route: Route,
        layer: ShardedChannelLayer,
        limits: Limits,
        isolation: str,
        dead_letter_suffix: str | None,
        instance: str | None,
        terminal: TextIO | None,
        options: Mapping[str, Any],
        replay_group: str | None = None,
    ) -> None:
        self._brokers = brokers
        self.group = group
        self.topics = topics
        self.consumers = consumers
        self._counted = (
            None
            if dead_letter_suffix is None
            else DeadLetterCounts(
                Postbox(
                    brokers=brokers,
                    topics=topics,
                    suffix=dead_letter_suffix,
                    group=replay_group or group,
                )
            )
        )
        self._layer = layer
        self.skipped = SkippedRecords()
        self._progress = Progress(
            lag=self.lag,
            skipped=self.skipped,
            terminal=terminal,
            clock=time.monotonic,
        )
        arguments: dict[str, Any] = {
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": auto_offset_reset,
            "isolation_level": isolation,
            "fetch_max_wait_ms": FETCH_WAIT,
            # While Redis is away a batch waits as long as it takes. A reader that hangs
            # altogether is found out without this: its heartbeats stop too.
            "max_poll_interval_ms": POLL_LIMIT,
            **brokers.arguments(),
            **options,
        }
        check_arguments(AIOKafkaConsumer, arguments, "KAFKA_CONSUMER_OPTIONS")
        arguments["max_unpacked"] = limits.unpacked
        arguments["gather"] = limits.gather
        self._letters = (
            None
            if dead_letter_suffix is None
            else DeadLetters(brokers, suffix=dead_letter_suffix, limit=limits.letter)
        )
        dispatch = partial(
            Dispatch,
            layer=layer,
            limit=limits.payload,
            letters=self._letters,
            skipped=self.skipped,
        )

        made_again: set[str] = set()
        self._router = Router(route, most=limits.rooms, seconds=limits.route_time)

        def join(
            own: dict[str, Any],
            stop: Stop,
            topic_ids: dict[str, str],
            on_fetch: Callable[[], None],
        ) -> GroupMembership:
            return GroupMembership(
                topics=topics,
                arguments=arguments | own,
                router=self._router,
                dispatch=dispatch,
                layer=layer,
                progress=self._progress,
                stop=stop,
                topic_ids=topic_ids,
                made_again=made_again,
                on_fetch=on_fetch,
            )

        self._readers = [
            GroupReader(partial(join, _identity(group, instance, number)))
            for number in range(consumers)
        ]

    @property
    def records(self) -> int:
        """How many records were published since the start."""
        return self._progress.records

    @property
    def ages(self) -> Histogram:
        """From a record's timestamp until Redis had it (see `Progress.ages`)."""
        return self._progress.ages

    @property
    def dead_letters(self) -> Mapping[str, int] | None:
        """How many dead letters of each topic wait for a replay, as of late; None: unknown."""
        return None if self._counted is None else self._counted.counts

    def partitions(self) -> list[PartitionFigures]:
        """Return how far each partition is that is read here."""
        return [each for reader in self._readers for each in reader.partitions()]

    def paused(self) -> int:
        """Return how many partitions wait for a shard, or for dead letters' topic."""
        return sum(reader.paused() for reader in self._readers)

    def lag(self) -> int:
        """Return how many records wait in Kafka, or are not delivered, as far as is known."""
        return sum(reader.lag() for reader in self._readers)

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for Kafka, then read until `stop`; batches in hand are finished and committed.

        A consumer that ends with an error is logged, and begun again after a pause.
        """
        quiet_aiokafka()
        if not await wait_for_topics(self._brokers, self.topics, stop=stop):
            return
        tasks = self._layer.branch_tasks()
        running = [
            tasks.supervise(reader.run, "realtime: read from Kafka") for reader in self._readers
        ]
        running += [
            tasks.supervise(partial(self._progress.run, stop), "realtime: show progress"),
            tasks.supervise(partial(watch, self._brokers, stop=stop), "realtime: watch Kafka"),
        ]
        if self._counted is not None:
            tasks.repeat(
                self._counted.count,
                "realtime: count dead letters",
                pause=lambda: COUNT_INTERVAL,
                first=0,
            )
        try:
            await stop.wait()
            for reader in self._readers:
                reader.stop()
            await asyncio.wait(running, timeout=END_GRACE)
        finally:
            await tasks.aclose()
            self._router.close()
            if self._letters is not None:
                await self._letters.aclose()


def _identity(group: str, instance: str | None, number: int) -> dict[str, Any]:
    """Return the arguments by which Kafka tells a pool's consumers apart."""
    own = {"client_id": f"{group}-{number}"}
    return own if instance is None else own | {"group_instance_id": f"{instance}-{number}"}
