"""One measurement of one layer, as it stands in the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one layer did in one slice.

    Attributes:
        measure: What was measured, as in benchmarks.layer.measures.
        layer: The layer's name.
        round: Slices of one round ran beside each other and may be compared.
        value: The figure itself; None where not one call succeeded.
        unit: Of `value`: "calls/s", "ms", "µs" (of CPU) or "" for a number of things.
        calls: Calls that succeeded, or deliveries where `value` is per delivery.
        lost: Messages of successful calls that a member did not get.
        repeated: Messages that a member got more than once.
        failed: How many calls raised, by the exception's name; those of a member are marked.
        caller_us: The calling process's CPU per call, microseconds; 0 where it is not measured.
    """

    measure: str
    layer: str
    round: int
    value: float | None
    unit: str
    calls: int
    lost: int = 0
    repeated: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    caller_us: float = 0.0
