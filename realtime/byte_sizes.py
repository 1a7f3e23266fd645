"""Numbers of bytes as people read them, on a page and on a terminal."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def scaled_bytes(value: float) -> tuple[float, int, str]:
    """Return bytes in the largest unit of which there is one at least.

    That is a number, how many digits of it to show behind the point, and the unit: 3.4, 1, `MiB`.
    """
    unit = 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return value, 0 if unit == 0 or value >= 10 else 1, _UNITS[unit]
