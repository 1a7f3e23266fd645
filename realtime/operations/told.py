"""Reading what processes told: of this release or another, so nothing in it is taken on trust."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from realtime.operations.node_status import NodesStatus, NodeStatus
from shardlayer import KnownReports, ProcessReport

ROLES = ("worker", "pool", "outbox")  # in the order in which they are shown

NOT_KEPT = "This broker keeps no reports of processes."
NONE_TOLD = "No process has reported: REALTIME['NODE_INTERVAL'] is 0, or no process runs."
NO_ANSWER = "The servers that keep the processes' reports do not answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one process told, beside what `node` says.

    Attributes:
        node: What it told of itself.
        rooms, subscriptions, publications, deliveries: By shard; empty where it does not say.
        lost, back: Shards that it can't hear, or hears again, and since when.
        bundles: By the first shard of each: publications in a call, and seconds that it took, of
            the last minute (see `Histogram.counts`).
        pool: Of a process of the pool, as it came.
    """

    node: NodeStatus
    rooms: Sequence[int]
    subscriptions: Sequence[int]
    publications: Sequence[float]
    deliveries: Sequence[float]
    lost: Mapping[int, float]
    back: Mapping[int, float]
    bundles: Mapping[int, tuple[Sequence[int], Sequence[int]]]
    pool: Mapping[str, Any] | None


def read_all(known: KnownReports) -> list[Told]:
    """Return what the processes told that could be read: by role, host and process id."""
    return _sorted(known.reports)


def _sorted(reports: Sequence[ProcessReport], *, is_lost: bool = False) -> list[Told]:
    told = [_read(each.body, each.process, each.age, is_lost=is_lost) for each in reports]
    return sorted(
        (each for each in told if each is not None),
        key=lambda each: (
            ROLES.index(each.node.role) if each.node.role in ROLES else len(ROLES),
            each.node.host,
            each.node.pid,
        ),
    )


def why_unknown(known: KnownReports, *, is_on: bool) -> str:
    """Return why it is not known what processes tell; empty if it is.

    `is_on` says whether this process's own settings have processes tell.
    """
    if not known.is_kept:
        return NOT_KEPT
    if not known.is_known:
        return NO_ANSWER
    return "" if known.reports or is_on else NONE_TOLD


def nodes_status(known: KnownReports, told: Sequence[Told], *, is_on: bool) -> NodesStatus:
    """Return what the pages of nodes show."""
    why = why_unknown(known, is_on=is_on)
    return NodesStatus(
        nodes=() if why else tuple(each.node for each in told),
        lost=() if why else tuple(each.node for each in _sorted(known.lost, is_lost=True)),
        silent=known.silent,
        is_known=not why,
        why=why,
    )


def _read(body: bytes, process: str, age: float, *, is_lost: bool) -> Told | None:
    """Return what a report says; None if it is none."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(said, dict):
        return None
    node = NodeStatus(
        id=process,
        role=_text(said.get("role")),
        host=_text(said.get("host")),
        pid=int(number(said.get("pid")) or 0),
        version=_text(said.get("version")),
        started=number(said.get("started")) or 0.0,
        age=age,
        interval=number(said.get("interval")) or 0.0,
        is_draining=said.get("is_draining") is True,
        can_drain=said.get("can_drain") is True,
        connections=count(said.get("connections")),
        capacity=count(said.get("capacity")),
        cpu=number(said.get("cpu")),
        memory=count(said.get("memory")),
        tasks=count(said.get("tasks")),
        rooms=count(said.get("rooms")),
        subscriptions=count(said.get("subscriptions")),
        backlog=count(said.get("backlog")),
        deliveries=number(said.get("deliveries")),
        publications=number(said.get("publications")),
        loop_delay=number(said.get("loop_delay")),
        lease_age=number(said.get("lease_age")),
        lease_ttl=number(said.get("lease_ttl")),
        unheard=texts(said.get("unheard")),
        failing=texts(said.get("failing")),
        is_lost=is_lost,
    )
    shards = _mapping(said.get("shards"))
    pool = said.get("pool")
    return Told(
        node=node,
        rooms=_counts(shards.get("rooms")),
        subscriptions=_counts(shards.get("subscriptions")),
        publications=_numbers(shards.get("publications")),
        deliveries=_numbers(shards.get("deliveries")),
        lost=_times(shards.get("lost")),
        back=_times(shards.get("back")),
        bundles={
            int(bundle): (_counts(measured.get("batch")), _counts(measured.get("call")))
            for bundle, measured in _mapping(said.get("bundles")).items()
            if bundle.isdecimal() and isinstance(measured, dict)
        },
        pool=pool if isinstance(pool, dict) else None,
    )


def number(value: object) -> float | None:
    """Return a number; None if it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def count(value: object) -> int | None:
    """Return a whole number; None if it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list; none if it is no list."""
    return tuple(each for each in _items(value) if isinstance(each, str))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _counts(value: object) -> list[int]:
    return [count(each) or 0 for each in _items(value)]


def _numbers(value: object) -> list[float]:
    return [number(each) or 0.0 for each in _items(value)]


def _items(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()


def _times(value: object) -> dict[int, float]:
    found = {name: number(at) for name, at in _mapping(value).items()}
    return {int(name): at for name, at in found.items() if name.isdecimal() and at is not None}
