"""What a load test found, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Points = Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCheck:
    """A limit, and what was found.

    Attributes:
        name: The option that sets the limit.
        limit: The largest value that is right; the smallest where `at_least`.
        found: What was measured; None: nothing was, which is never right.
        unit: Of both; empty: they are counts.
        at_least: Whether more is better.
    """

    name: str
    limit: float
    found: float | None
    unit: str = ""
    at_least: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether the limit is kept."""
        if self.found is None:
            return False
        return self.found >= self.limit if self.at_least else self.found <= self.limit

    @property
    def text(self) -> str:
        """The limit in a line."""
        unit = f" {self.unit}" if self.unit else ""
        found = "nothing measured" if self.found is None else f"{self.found:,.4g}{unit}"
        if self.found == math.inf:
            found = "more than the histogram's buckets hold"
        sign = "≥" if self.at_least else "≤"
        return f"{self.name} {sign} {self.limit:,.4g}{unit}: {found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table.

    Attributes:
        title: Above it.
        head: The columns.
        rows: As text.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPlot:
    """Lines over one axis.

    Attributes:
        title: Above it, with the unit.
        across: What the horizontal axis is.
        lines: By name, points (x, y) with ascending x; a y of None is a gap.
    """

    title: str
    across: str
    lines: Mapping[str, Points]


@dataclass(slots=True, kw_only=True)
class LoadReport:
    """What a load test found.

    Attributes:
        scenario: Its name.
        target: The address.
        began: When, as ISO 8601 with an offset.
        seconds: How long it took.
        options: What it was called with.
        versions: Of what took part.
        facts: Name and value of each line of the summary.
        checks: The limits.
        findings: What else somebody should know, in sentences.
        tables: More.
        plots: More.
        figures: The same as numbers, for programs.
    """

    scenario: str
    target: str
    began: str
    seconds: float = 0.0
    options: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    facts: list[tuple[str, str]] = field(default_factory=list)
    checks: list[LoadCheck] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    tables: list[ReportTable] = field(default_factory=list)
    plots: list[ReportPlot] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def is_kept(self) -> bool:
        """Whether all limits are kept."""
        return all(check.is_kept for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Return all of it in values of JSON."""
        told = asdict(self)
        for check, as_told in zip(self.checks, told["checks"], strict=True):
            as_told["is_kept"] = check.is_kept
        return {**told, "is_kept": self.is_kept}
