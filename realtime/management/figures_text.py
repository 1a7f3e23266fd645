"""Figures as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.byte_sizes import scaled_bytes

UNKNOWN = "?"
NOTHING = "-"
_BARS = "▁▂▃▄▅▆▇█"


def number(value: float | None, *, digits: int = 0, none: str = NOTHING) -> str:
    """Return a number with commas."""
    return none if value is None else f"{value:,.{digits}f}"


def rate(value: float | None, *, none: str = NOTHING) -> str:
    """Return a rate: small ones with a digit behind the point."""
    if value is None:
        return none
    return f"{value:,.1f}" if 0 < value < 10 else f"{value:,.0f}"


def size(value: float | None, *, none: str = NOTHING) -> str:
    """Return bytes in the largest unit of which there is one at least."""
    if value is None:
        return none
    scaled, digits, unit = scaled_bytes(value)
    return f"{scaled:.{digits}f} {unit}"


def milliseconds(value: float | None, *, none: str = NOTHING) -> str:
    """Return seconds as milliseconds."""
    return none if value is None else f"{value * 1000:,.1f} ms"


def duration(value: float | None, *, none: str = NOTHING) -> str:
    """Return seconds in the two largest units."""
    if value is None:
        return none
    whole = max(int(value), 0)
    for length, name, smaller, its in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= length:
            return f"{whole // length} {name} {whole % length // smaller} {its}"
    return f"{whole} s"


def sparkline(values: Sequence[float | None]) -> str:
    """Return values as bars of eight heights; a blank where one is unknown."""
    most = max((value for value in values if value is not None), default=0.0)
    return "".join(_bar(value, most) for value in values)


def _bar(value: float | None, most: float) -> str:
    if value is None:
        return " "
    return _BARS[round(value / most * (len(_BARS) - 1))] if most > 0 else _BARS[0]
