"""Who is in which rooms, kept in this process: a `MemoryBackend`'s role `Presence`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from shardlayer.broker.interface import Presence
from shardlayer.broker.memory.memory_shards import MemoryShards
from shardlayer.broker.memory.store import Roster, Shard
from shardlayer.broker.presence_values import (
    LEASE_MARGIN,
    MAX_LISTED,
    ROLL_PAGE,
    Announced,
    Announcement,
    Attendee,
    Person,
    PresencePage,
    Watch,
)
from shardlayer.core import wire
from shardlayer.core.presence_news import PersonEvent, PresenceNews, pack_news
from shardlayer.core.types import NodeId


class MemoryPresence(MemoryShards, Presence):
    """Keeps people in this process."""

    def _now(self) -> float:
        """Return the time by which leases are over here."""
        return self._server.clock() + self._options.lease_ttl * LEASE_MARGIN

    async def announce(self, shard: int, announcement: Announcement) -> Announced:
        with self._server.lock:
            state = self._shard(shard)
            node, number, came, went = announcement
            roster = state.rosters.setdefault(node, Roster())
            if roster.number == number and roster.answer is not None:
                return roster.answer
            known = roster.number + 1 == number
            roster.number, roster.answer = (
                number,
                Announced(known, self._change(shard, state, roster, came, went)),
            )
            return roster.answer

    async def watch(self, shard: int, node: NodeId, number: int) -> Watch:
        with self._server.lock:
            state, now = self._shard(shard), self._now()
            left = {each: state.leases.get(each, 0.0) - now for each in state.rosters}
            roster = state.rosters.get(node)
            return Watch(
                known=number == (roster.number if roster else 0),
                gone=[each for each, seconds in left.items() if seconds <= 0],
                ends_in=min((seconds for seconds in left.values() if seconds > 0), default=None),
            )

    async def roll(
        self, shard: int, node: NodeId, *, after: Attendee | None = None, limit: int = ROLL_PAGE
    ) -> list[Attendee]:
        with self._server.lock:
            roster = self._shard(shard).rosters.get(node, Roster())
            found = sorted(roster.attendees)
            return [each for each in found if after is None or each > after][:limit]

    async def clear(
        self, shard: int, node: NodeId, attendees: Sequence[Attendee], *, ends: bool = False
    ) -> Announced:
        with self._server.lock:
            state = self._shard(shard)
            if not ends and state.leases.get(node, 0.0) > self._now():
                return Announced(False, {})
            roster = state.rosters.setdefault(node, Roster())
            roster.number, roster.answer = -1, None
            turned = self._change(shard, state, roster, (), attendees)
            if not roster.attendees:
                del state.rosters[node]
            return Announced(True, turned)

    async def present(
        self, shard: int, room: str, *, limit: int = 0, after: str = ""
    ) -> PresencePage:
        with self._server.lock:
            state, now = self._shard(shard), self._now()
            people = state.people.get(room, Counter())
            names = [name for name in sorted(people, key=str.encode) if _follows(name, after)]
            return PresencePage(
                people=len(people),
                connections=people.total(),
                persons=[_person(name, room, people, state) for name in names[:limit]],
                more=len(names) > limit > 0,
                gone=[node for node in state.rosters if state.leases.get(node, 0.0) <= now],
            )

    def _change(
        self,
        shard: int,
        state: Shard,
        roster: Roster,
        came: Iterable[Attendee],
        went: Iterable[Attendee],
    ) -> dict[str, bool]:
        """Make changes, tell the nodes of the rooms, and return which rooms turned."""
        changes = [*((each, True) for each in came), *((each, False) for each in went)]
        rooms = {each.room: state.people.setdefault(each.room, Counter()) for each, _ in changes}
        before = {room: len(people) for room, people in rooms.items()}
        events: dict[str, list[PersonEvent]] = {}
        for attendee, is_there in changes:
            people, person = rooms[attendee.room], attendee.person
            if is_there == (attendee in roster.attendees):
                continue
            if is_there:
                roster.attendees[attendee] = None
                people[person] += 1
                has_turned = people[person] == 1
            else:
                del roster.attendees[attendee]
                people[person] -= 1
                has_turned = not people[person]
                if has_turned:
                    del people[person]
            if has_turned and attendee.told:
                info = attendee.info if is_there else b""
                events.setdefault(attendee.room, []).append(PersonEvent(is_there, person, info))
        for room, told in events.items():
            news = pack_news(PresenceNews(len(rooms[room]), told))
            order = wire.pack_order(wire.Kind.PRESENCE, room, news)
            for node in state.groups[room].nodes if room in state.groups else ():
                self._server.tell(node, shard, order)
        for room in [room for room, people in rooms.items() if not people]:
            del state.people[room]
        return {
            room: bool(people)
            for room, people in rooms.items()
            if bool(people) != bool(before[room])
        }


def _follows(name: str, after: str) -> bool:
    return not after or name.encode() > after.encode()


def _person(name: str, room: str, people: Counter[str], state: Shard) -> Person:
    infos: list[bytes] = []
    for roster in state.rosters.values():
        its = [each.info for each in roster.attendees if (each.room, each.person) == (room, name)]
        infos += its[:MAX_LISTED]
    return Person(name, people[name], infos)
