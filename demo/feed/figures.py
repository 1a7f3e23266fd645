"""The demo's figures: two readings of the machine's counters to what the page draws."""

from __future__ import annotations

from dataclasses import dataclass

Figures = dict[str, dict[str, object]]  # room -> data


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The machine's counters at one moment.

    Attributes:
        wall: Seconds since 1970.
        clock: Seconds, monotonic; what rates are taken by.
        percent: CPU in use since the reading before, 0 to 100.
        per_cpu: The same for each CPU.
        load: Processes that ran or waited, as a mean over the last minute.
        memory_percent: Memory in use, 0 to 100.
        memory_used: Bytes.
        memory_total: Bytes.
        received: Bytes that came in over the network since the machine started.
        sent: Bytes that went out.
        read: Bytes read from disks since the machine started.
        written: Bytes written to them.
    """

    wall: float
    clock: float
    percent: float
    per_cpu: tuple[float, ...]
    load: float
    memory_percent: float
    memory_used: int
    memory_total: int
    received: int
    sent: int
    read: int
    written: int


def rate(before: int, after: int, seconds: float) -> float:
    """Return a counter's growth a second; 0 where it went back, as it does when it wraps around."""
    if seconds <= 0 or after < before:
        return 0.0
    return round((after - before) / seconds, 1)


def figures(before: Reading, after: Reading) -> Figures:
    """Return what each room is told at the second reading."""
    moment = round(after.wall, 3)
    seconds = after.clock - before.clock
    return {
        "machine.cpu": {
            "t": moment,
            "percent": after.percent,
            "per_cpu": list(after.per_cpu),
            "load": after.load,
        },
        "machine.memory": {
            "t": moment,
            "percent": after.memory_percent,
            "used": after.memory_used,
            "total": after.memory_total,
        },
        "machine.network": {
            "t": moment,
            "received": rate(before.received, after.received, seconds),
            "sent": rate(before.sent, after.sent, seconds),
        },
        "machine.disk": {
            "t": moment,
            "read": rate(before.read, after.read, seconds),
            "written": rate(before.written, after.written, seconds),
        },
    }
