"""What no fault may do; pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.faults.rows import NEVER, Row
from benchmarks.targets import Target, none_target


def faults_targets(rows: Sequence[Row]) -> list[Target]:
    """Return the targets of `faults`: what must not happen, in each row, and the pauses."""

    lasting = [row for row in rows if not row.forgets]
    pauses = {row.fault: row.pause_limit_ms for row in rows if row.pause_limit_ms is not None}
    return [
        none_target(
            "messages not acknowledged", [row.published - row.acknowledged for row in rows]
        ),
        none_target("sources that published nothing", [row.silent for row in rows]),
        none_target("deliveries lost", [row.lost for row in rows]),
        none_target("deliveries twice", [row.twice for row in rows]),
        none_target("deliveries out of order", [row.misordered for row in rows]),
        none_target(
            "missed by a client that was told, nothing forgotten", [row.told for row in lasting]
        ),
        none_target("faults that did not end well", [row.is_stuck for row in rows if row.timed]),
        *(
            Target.of(
                f"{fault}: a client's longest pause, once all should be well",
                limit,
                "ms",
                [row.pause_mended_ms for row in rows if row.fault == fault],
                absent=NEVER,
            )
            for fault, limit in pauses.items()
        ),
    ]
