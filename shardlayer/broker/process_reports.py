"""What processes say of themselves, as a shard keeps it: values and limits.

A report is any bytes: who writes it and who reads it agree on them. Beside the reports the shard
adds up totals: numbers that the reports bring along, summed over all processes for each step of
time, so that the last minutes are known though a process is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

MAX_REPORTS = 1_000  # processes of which a shard keeps reports
MAX_LOST = 200  # processes that it still tells of after that
LOST_FOR = 300.0  # seconds that it tells of one that said nothing more, and was not forgotten
MAX_REPORT = 32 * 1024  # bytes
MAX_TOTALS = 16  # names
TOTALS_STEP = 10.0  # seconds
TOTALS_STEPS = 60  # that are kept: ten minutes

Totals = Mapping[int, Mapping[str, float]]
"""By the number of the step, then by name. Step n is from n * TOTALS_STEP on, by the clock."""


class ProcessReport(NamedTuple):
    """What a process said last.

    Attributes:
        process: Names it.
        body: What it said.
        age: Seconds since then.
    """

    process: str
    body: bytes
    age: float


class ProcessReports(NamedTuple):
    """What a shard keeps of all processes.

    Attributes:
        now: The broker's clock, in seconds.
        reports: Those that are not over, in no particular order.
        totals: Of the last TOTALS_STEPS steps.
        lost: Those that are over since LOST_FOR at most and were not forgotten: the process was
            killed, or hangs, or can't be heard.
    """

    now: float
    reports: Sequence[ProcessReport]
    totals: Totals
    lost: Sequence[ProcessReport] = ()


class ServerMemory(NamedTuple):
    """What a server's data take.

    Attributes:
        used: Bytes, of all that use the server.
        limit: Bytes that they may take; 0 is any number.
    """

    used: int
    limit: int


def require_report(body: bytes, totals: Mapping[str, float]) -> None:
    """Refuse what is too large to be kept.

    Raises:
        ValueError: The report has more than MAX_REPORT bytes, or there are more than MAX_TOTALS
            totals.
    """
    if len(body) > MAX_REPORT:
        raise ValueError(f"A report of {len(body):,} bytes; at most {MAX_REPORT:,} are kept.")
    if len(totals) > MAX_TOTALS:
        raise ValueError(f"{len(totals)} totals; at most {MAX_TOTALS} are kept.")
