"""What the brokers know of a consumer group, whether one of its members runs or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    for_code,
)

from realtime.kafka.brokers import Brokers, admin_client, start_client

Answer = TypeVar("Answer")

COORDINATOR_IS_COMING = (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)
COORDINATOR_TRIES = 50
COORDINATOR_PAUSE = 0.1  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMember:
    """A consumer of a group.

    Attributes:
        id: What the group calls it; another each time that it joins.
        client: What it calls itself: the group, and its number in its pool. The broker of
            development does not tell, nor the next.
        host: The address from which it is connected.
        partitions: What it was given to read.
    """

    id: str
    client: str
    host: str
    partitions: frozenset[TopicPartition]

    @property
    def name(self) -> str:
        """Return what to call it."""
        return self.client or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What a group has committed of a partition.

    Attributes:
        offset: What is read next; None: it has never committed.
        text: What it wrote beside it.
    """

    offset: int | None = None
    text: str = ""


@asynccontextmanager
async def asking(brokers: Brokers) -> AsyncIterator[AIOKafkaAdminClient]:
    """Run a client that asks the brokers.

    Raises:
        OSError, KafkaError: They do not answer.
    """
    await brokers.probe()
    admin = admin_client(brokers)
    try:
        await start_client(admin)
        yield admin
    finally:
        await admin.close()


async def partitions_of(
    admin: AIOKafkaAdminClient, topics: Iterable[str]
) -> dict[str, list[TopicPartition]]:
    """Return the partitions of topics, in order; of a topic that is not there, none."""
    found = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
    return {
        topic: sorted(
            TopicPartition(topic, partition["partition"]) for partition in found.get(topic, ())
        )
        for topic in topics
    }


async def committed_by(
    admin: AIOKafkaAdminClient, group: str, partitions: Iterable[TopicPartition]
) -> Mapping[TopicPartition, Committed]:
    """Return what a group has committed of partitions.

    Raises:
        KafkaError: The group's coordinator does not answer, or does not allow it.
    """
    partitions = list(partitions)
    if not partitions:
        return {}

    async def ask() -> Mapping[TopicPartition, Any]:
        found: Mapping[TopicPartition, Any] = await admin.list_consumer_group_offsets(
            group, partitions=partitions
        )
        if found.keys() < set(partitions):
            # aiokafka does not look at the error of the whole answer: nothing is told of any then.
            raise GroupLoadInProgressError(group)
        return found

    found = await _of_coordinator(ask)
    return {
        partition: Committed(offset=told.offset, text=told.metadata or "")
        if (told := found[partition]).offset >= 0
        else Committed()
        for partition in partitions
    }


async def members_of(admin: AIOKafkaAdminClient, group: str) -> tuple[str, list[GroupMember]]:
    """Return a group's state, as Kafka calls it, and its members; an unknown group is `Dead`.

    Raises:
        KafkaError: The group's coordinator does not answer, or does not allow it.
    """

    async def ask() -> tuple[str, Sequence[Any]]:
        [response] = await admin.describe_consumer_groups([group])
        [(code, _, state, _, _, members, *_)] = response.groups
        if code:
            raise for_code(code)(group)
        return state, members

    state, members = await _of_coordinator(ask)
    return state, sorted(map(_member, members), key=lambda member: (member.client, member.id))


async def _of_coordinator(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask a group's coordinator; a broker that has just started has none for a second or so."""
    tries = 0
    while True:
        try:
            return await ask()
        except COORDINATOR_IS_COMING:
            tries += 1
            if tries == COORDINATOR_TRIES:
                raise
            await asyncio.sleep(COORDINATOR_PAUSE)


def _member(told: tuple[Any, ...]) -> GroupMember:
    member, client, host, _, assignment, *_ = told
    partitions = (
        ConsumerProtocolMemberAssignment.decode(assignment).partitions() if assignment else ()
    )
    return GroupMember(
        id=member, client=client, host=host.lstrip("/"), partitions=frozenset(partitions)
    )
