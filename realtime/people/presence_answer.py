"""What a client is answered that asks who is in a room."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.clients.client_counters import counters
from realtime.clients.protocol import replies
from realtime.clients.protocol.commands import AskPresence
from realtime.conf import conf
from realtime.people.people_fields import encoded_fields_of
from shardlayer import Person, PresencePage, ShardedChannelLayer


async def presence_answer(
    layer: ShardedChannelLayer, command: AskPresence, *, max_bytes: int
) -> bytes:
    """Return the answer to `presence`, of at most `max_bytes` bytes of people; 0: any amount.

    Who does not fit is left for another command, but for one person, who comes with no infos.

    Raises:
        ShardUnavailable: The room's shard does not answer.
    """
    most = conf().max_client_presence
    limit = most if command.limit is None else min(command.limit, most)
    page = await layer.presence(command.room, limit=limit, after=command.after)
    fields = await encoded_fields_of([person.name for person in page.persons])
    told: list[bytes] = []
    size = 0
    for person in page.persons:
        item = _person(person, [info for info in person.infos if info], fields.get(person.name))
        size += len(item)
        if max_bytes and size > max_bytes:
            if told:
                break
            item = _person(person, [], None)
        told.append(item)
    counters.presence_cut += len(told) < len(page.persons)
    return _reply(command, page, told)


def _reply(command: AskPresence, page: PresencePage, told: Sequence[bytes]) -> bytes:
    return replies.presence(
        command.id,
        room=command.room,
        people=page.people,
        connections=page.connections,
        persons=told,
        more=page.more or len(told) < len(page.persons),
    )


def _person(person: Person, infos: Sequence[bytes], fields: bytes | None) -> bytes:
    return replies.person(person.name, connections=person.connections, infos=infos, fields=fields)
