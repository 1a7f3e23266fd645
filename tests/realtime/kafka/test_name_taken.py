"""A named member tells apart whether another has got its name or the group forgot it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.kafka.reading.consumer import Consumer, NameTaken

SESSION, HEARTBEAT = 10.0, 3.0  # seconds


class Member:
    """A consumer of a group, as it is told of it, on a clock of its own.

    Attributes:
        id: What the group calls it; "" if it does not know it any more.
    """

    def __init__(self) -> None:
        self.id = ""
        self._now = 1_000.0
        self._consumer = Consumer(
            max_unpacked=1_000,
            group_id="group",
            group_instance_id="pool-1",
            session_timeout_ms=int(SESSION * 1000),
            heartbeat_interval_ms=int(HEARTBEAT * 1000),
        )
        self._consumer._loop = SimpleNamespace(time=lambda: self._now)
        self._consumer._coordinator = SimpleNamespace(member_id="")
        self._consumer._fetcher = SimpleNamespace(_fetch_task=asyncio.Future(), _records={})
        self._consumer.getmany = self._get_nothing

    async def fetch(self, *, after: float = 0.1) -> None:
        """Fetch, so many seconds after what was before."""
        self._tell(after)
        await self._consumer.fetch([], wait=0, most=1)

    def rejoin(self, *, after: float = 0.1) -> None:
        """Give the partitions back, before the group is joined again."""
        self._tell(after)
        self._consumer.see_that_it_was_not_replaced()

    async def aclose(self) -> None:
        """End what was never started."""
        self._consumer._coordinator = self._consumer._fetcher = None
        self._consumer._closed = True

    def _tell(self, after: float) -> None:
        self._now += after
        self._consumer._coordinator.member_id = self.id

    async def _get_nothing(self, *partitions: Any, **options: Any) -> dict[Any, Any]:
        return {}


@pytest.fixture
async def member() -> AsyncIterator[Member]:
    """A member that has joined and fetched."""
    member = Member()
    member.rejoin()  # as before each join
    member.id = "first"
    await member.fetch()
    await member.fetch()
    yield member
    await member.aclose()


async def test_another_took_the_name(member: Member) -> None:
    """The group does not know a member any more that was there all the time."""
    member.id = ""
    with pytest.raises(NameTaken):
        member.rejoin(after=SESSION - HEARTBEAT - 0.1)


async def test_another_took_the_name_between_two_fetches(member: Member) -> None:
    """aiokafka has joined again, and has taken the name back."""
    member.id = "second"
    with pytest.raises(NameTaken):
        await member.fetch()


@pytest.mark.parametrize("absence", [SESSION - HEARTBEAT, SESSION, 10 * SESSION])
@pytest.mark.parametrize("fetches", [0, 1, 5])
async def test_member_that_stood_still(absence: float, fetches: int, member: Member) -> None:
    """The group forgot it, since no heartbeat came; it may fetch before it hears of that."""
    if fetches:
        await member.fetch(after=absence)
    for _ in range(fetches - 1):
        await member.fetch()
    member.id = ""
    member.rejoin(after=0.1 if fetches else absence)
    await member.fetch()  # what it has got
    member.id = "second"
    await member.fetch()
    await member.fetch()
    member.id = ""
    with pytest.raises(NameTaken):  # by now it is there again
        member.rejoin()
