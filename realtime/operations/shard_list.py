"""Putting together what is known of the shards: by the servers, and by the processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from realtime.nodes.readings import percentile
from realtime.operations.shard_status import ServerStatus, ShardsStatus, ShardStatus
from realtime.operations.told import Told
from shardlayer import BATCH_ITEMS, CALL_SECONDS, ServerMemory, ShardPlace, ShardUnavailable

Answers = Mapping[str, float | ShardUnavailable]
"""By server: seconds that it took to answer, or why it did not."""

Number = TypeVar("Number", int, float)


def servers_status(
    places: Sequence[ShardPlace], answers: Answers, memory: Mapping[str, ServerMemory | None]
) -> tuple[ServerStatus, ...]:
    """Return how the servers are."""
    return tuple(
        _server(address, answer, memory.get(address), places) for address, answer in answers.items()
    )


def _server(
    address: str,
    answer: float | ShardUnavailable,
    memory: ServerMemory | None,
    places: Sequence[ShardPlace],
) -> ServerStatus:
    is_up = isinstance(answer, float)
    return ServerStatus(
        address=address,
        shards=tuple(shard for shard, place in enumerate(places) if place.server == address),
        seconds=answer if isinstance(answer, float) else None,
        why="" if isinstance(answer, float) else str(answer.__cause__ or answer),
        memory=memory.used if memory is not None and is_up else None,
        memory_limit=memory.limit if memory is not None and is_up else None,
    )


def shards_status(
    places: Sequence[ShardPlace], servers: Sequence[ServerStatus], told: Sequence[Told]
) -> ShardsStatus:
    """Return how the shards are."""
    by_address = {server.address: server for server in servers}
    measured = {bundle: _measured(told, bundle) for bundle in {place.bundle for place in places}}
    return ShardsStatus(
        shards=tuple(
            _shard(shard, place, by_address.get(place.server), told, measured[place.bundle])
            for shard, place in enumerate(places)
        ),
        servers=tuple(servers),
        silent={server.address: server.why for server in servers if server.why},
        are_figures_known=bool(told),
    )


def _shard(
    shard: int,
    place: ShardPlace,
    server: ServerStatus | None,
    told: Sequence[Told],
    measured: Sequence[float | None],
) -> ShardStatus:
    deaf = [each.node.id for each in told if shard in each.lost]
    rooms = _at([each.rooms for each in told], shard)
    batch_p50, batch_p99, call_p50, call_p99 = measured
    state = _state(server, deaf)
    return ShardStatus(
        shard=shard,
        server=place.server,
        state=state,
        since=_since(shard, told, is_up=state == "up"),
        deaf=tuple(deaf),
        rooms=max(rooms, default=None),
        rooms_most=_sum(rooms),
        subscriptions=_sum(_at([each.subscriptions for each in told], shard)),
        publications=_sum(_at([each.publications for each in told], shard)),
        deliveries=_sum(_at([each.deliveries for each in told], shard)),
        batch_p50=batch_p50,
        batch_p99=batch_p99,
        call_p50=call_p50,
        call_p99=call_p99,
        bundle=place.bundle,
        memory=None if server is None else server.memory,
    )


def _state(server: ServerStatus | None, deaf: Sequence[str]) -> str:
    if server is None:
        return "unknown"
    if server.seconds is None:
        return "down"
    return "partly" if deaf else "up"


def _since(shard: int, told: Sequence[Told], *, is_up: bool) -> float | None:
    if is_up:
        return max((each.back[shard] for each in told if shard in each.back), default=None)
    return min((each.lost[shard] for each in told if shard in each.lost), default=None)


def _at(columns: Sequence[Sequence[Number]], shard: int) -> list[Number]:
    return [column[shard] for column in columns if shard < len(column)]


def _sum(values: Sequence[Number]) -> Number | None:
    return sum(values) if values else None


def _measured(told: Sequence[Told], bundle: int) -> tuple[float | None, ...]:
    """Return the median and what 99 of 100 do not exceed: of batches' sizes, of calls' seconds."""
    found = [each.bundles[bundle] for each in told if bundle in each.bundles]
    batches = _added([batch for batch, _ in found])
    calls = _added([call for _, call in found])
    return (
        *(_at_least_one(percentile(batches, BATCH_ITEMS, share)) for share in (0.5, 0.99)),
        percentile(calls, CALL_SECONDS, 0.5),
        percentile(calls, CALL_SECONDS, 0.99),
    )


def _at_least_one(items: float | None) -> float | None:
    """Return a batch's size: none has less than one publication, though its bucket begins at 0."""
    return None if items is None else max(items, 1.0)


def _added(columns: Sequence[Sequence[int]]) -> list[int]:
    longest = max(map(len, columns), default=0)
    return [sum(_at(columns, number)) for number in range(longest)]
