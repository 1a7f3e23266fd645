"""One measurement, as it stands in the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.rig import Usage
from benchmarks.statistics import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What one peer did with the messages of one slice.

    Attributes:
        scenario: What was done, as in benchmarks.broadcast.
        peer: The peer's name.
        round: Slices of one round ran beside each other and may be compared.
        members: Clients in the room.
        published: Messages.
        received: Deliveries that clients counted, in order.
        lost: Deliveries that did not come: published * members - received.
        misordered: Deliveries that came twice or too late.
        cut: Clients whose connection the server closed.
        stalled: Whether a message did not arrive at all clients in time, which ended the slice.
        seconds: From the first message to the last one's arrival.
        us_per_delivery: The server process's CPU per delivery, microseconds.
        deliveries_per_s: What was reached; with messages one by one this says what server and
            clients take turns to do, not what the server could.
        p50_ms, p95_ms, p99_ms, max_ms: From the call that publishes to the client's read.
        late_ms: How much later than planned the publisher was, at worst; 0 without a plan.
        server_busy, clients_busy: Shares of one CPU.
        redis_us_per_message, publisher_us_per_message: CPU of these processes.
    """

    scenario: str
    peer: str
    round: int
    members: int
    published: int
    received: int
    lost: int
    misordered: int
    cut: int
    stalled: bool
    seconds: float
    us_per_delivery: float
    deliveries_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    late_ms: float
    server_busy: float
    clients_busy: float
    redis_us_per_message: float
    publisher_us_per_message: float

    @classmethod
    def of(
        cls,
        figures: Mapping[str, Any],
        before: Usage,
        after: Usage,
        *,
        scenario: str,
        peer: str,
        round: int,
        members: int,
    ) -> Self:
        """Put together what clients, publisher and operating system say of one slice."""
        published, received = max(1, figures["published"]), max(1, figures["received"])
        server = after.server - before.server
        seconds = (after.wall - before.wall) / 1e9
        return cls(
            scenario=scenario,
            peer=peer,
            round=round,
            members=members,
            **figures,
            seconds=seconds,
            us_per_delivery=server / received / 1e3,
            deliveries_per_s=figures["received"] / seconds,
            server_busy=server / seconds / 1e9,
            clients_busy=(after.clients - before.clients) / seconds / 1e9,
            redis_us_per_message=(after.redis - before.redis) / published / 1e3,
            publisher_us_per_message=(after.publisher - before.publisher) / published / 1e3,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """What many connections cost one peer.

    Attributes:
        peer: The peer's name.
        round: Measurements of one round ran one after the other and may be compared.
        connections: How many were opened between the two readings.
        open_before: How many stood already at the first reading; they warmed the process up.
        seconds: From the first to the last of them being subscribed.
        ms_per_connect: The server process's CPU per connection, milliseconds.
        kb_per_connection: What the server's resident memory grew by per connection.
        redis_us_per_connect: CPU of its Redis.
        clients_busy: Share of one CPU.
    """

    peer: str
    round: int
    connections: int
    open_before: int
    seconds: float
    ms_per_connect: float
    kb_per_connection: float
    redis_us_per_connect: float
    clients_busy: float


def values(samples: Sequence[Any], field: str, **where: object) -> list[float]:
    """Return a figure of the samples for which all of `where` holds, in order of their rounds."""
    chosen = [
        sample
        for sample in samples
        if all(getattr(sample, name) == value for name, value in where.items())
    ]
    return [float(getattr(sample, field)) for sample in sorted(chosen, key=lambda s: s.round)]


def spread(samples: Sequence[Any], field: str, **where: object) -> Spread:
    """Return the spread of `values(…)`, of which there must be one at least."""
    return Spread.of(values(samples, field, **where))
