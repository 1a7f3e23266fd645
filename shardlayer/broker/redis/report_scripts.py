"""Calls of the scripts that keep what processes say of themselves. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from shardlayer.broker.process_reports import (
    LOST_FOR,
    MAX_LOST,
    MAX_REPORTS,
    TOTALS_STEP,
    TOTALS_STEPS,
    ProcessReport,
    Totals,
)
from shardlayer.broker.redis.calls import Argument, Call, milliseconds, text
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.redis.scripts import script


def report(
    keys: ShardKeys, process: str, body: bytes, *, ttl: float, totals: Mapping[str, float]
) -> Call:
    """Return the call that keeps a process's report."""
    pairs: list[Argument] = [
        *chain.from_iterable((name, repr(float(value))) for name, value in totals.items())
    ]
    step, lost = milliseconds(TOTALS_STEP), milliseconds(LOST_FOR)
    return Call(
        script("report"),
        [keys.reports, keys.reported, keys.totals],
        [
            *(process, body, milliseconds(ttl), MAX_REPORTS),
            *(step, TOTALS_STEPS, lost, MAX_LOST),
            *pairs,
        ],
    )


def reports(keys: ShardKeys) -> Call:
    """Return the call that says which reports are kept, and the totals."""
    limits: list[Argument] = [MAX_REPORTS, milliseconds(LOST_FOR), MAX_LOST]
    return Call(script("reports"), [keys.reported, keys.totals], limits)


def read_reports(reply: Sequence[Any]) -> tuple[float, list[str], Totals, list[str]]:
    """Return what the reports script answered.

    The clock in seconds, the processes, the totals, and the processes that are lost.
    """
    now, names, fields, lost = reply
    now = int(now) / 1_000
    last = int(now // TOTALS_STEP)
    totals: dict[int, dict[str, float]] = {}
    for field, value in zip(fields[::2], fields[1::2], strict=True):
        number, _, name = text(field).partition(":")
        try:
            step, amount = int(number), float(value)
        except ValueError:  # somebody else wrote it
            continue
        if last - TOTALS_STEPS < step <= last:
            step_totals = totals.setdefault(step, {})
            if name:
                step_totals[name] = amount
    return now, [text(name) for name in names], totals, [text(name) for name in lost]


def read_report(process: str, value: bytes | None, now: float) -> ProcessReport | None:
    """Return a field of `reports`; None if it is gone, or somebody else wrote it."""
    came, space, body = (value or b"").partition(b" ")
    if not space or not came.isdigit():
        return None
    return ProcessReport(process, body, max(now - int(came) / 1_000, 0.0))
