"""What one record may cost the pool."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds, past which a record becomes a dead letter.

    Attributes:
        payload: Bytes that are published, at most.
        unpacked: Bytes of a batch of records when it is unpacked; also of what one fetch unpacks
            beyond its first batch, and of what is kept unpacked.
        letter: Bytes of a dead letter; one that is larger is written without its payload.
        rooms: Rooms of one record.
        route_time: Seconds in which a route names them.
        gather: Seconds that the records of a stream may wait for each other; 0: they don't.
    """

    payload: int = MIB
    unpacked: int = 64 * MIB
    letter: int = 64 * MIB
    rooms: int = 1_000
    route_time: float = 5.0
    gather: float = 0.005
