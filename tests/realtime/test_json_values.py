"""How values become JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import orjson
import pytest
from django.utils.translation import gettext_lazy

from realtime.json_values import encode


class Colour(Enum):
    """An enumeration."""

    RED = "red"


@dataclass
class Point:
    """A dataclass."""

    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, 2.5, None, True, "ä€"]}, '{"a":[1,2.5,null,true,"ä€"]}'),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '"2026-01-02T03:04:05+00:00"'),
        (
            datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2))),
            '"2026-01-02T03:04:05.000006+02:00"',
        ),
        (date(2026, 1, 2), '"2026-01-02"'),
        (Decimal("1.10"), '"1.10"'),
        (
            UUID("12345678-1234-5678-1234-567812345678"),
            '"12345678-1234-5678-1234-567812345678"',
        ),
        (gettext_lazy("Yes"), '"Yes"'),
        (Colour.RED, '"red"'),
        (Point(1, 2), '{"x":1,"y":2}'),
        (orjson.Fragment(b'{"a": 1}'), '{"a": 1}'),
        (float("nan"), "null"),
    ],
)
def test_values(value: object, text: str) -> None:
    """Each documented type has its form."""
    assert encode(value).decode() == text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": object()}, "object"),
        ({1, 2}, "set"),
        ({1: 2}, "str"),
        (2**70, "64-bit"),
        (b"x", "bytes"),
    ],
)
def test_what_has_no_form(value: object, words: str) -> None:
    """Anything else is a TypeError that says what."""
    with pytest.raises(TypeError, match=words):
        encode(value)
