"""How values become JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext_lazy, override

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
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '"2026-01-02T03:04:05Z"'),
        (
            datetime(2026, 1, 2, 3, 4, 5, 6789, tzinfo=timezone(timedelta(hours=2))),
            '"2026-01-02T03:04:05.006+02:00"',
        ),
        (date(2026, 1, 2), '"2026-01-02"'),
        (time(3, 4, 5), '"03:04:05"'),
        (timedelta(hours=1), '"P0DT01H00M00S"'),
        ({1: 2, date(2026, 1, 2): 3}, '{"1":2,"2026-01-02":3}'),
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
        ({(1, 2): 2}, "key"),
        (time(3, 4, 5, tzinfo=UTC), "timezone-aware"),
        (User(pk=7), r"User has no JSON form\. .*model_to_dict"),
        ({"users": [{"user": User(pk=7)}]}, "model_to_dict"),
        (User.objects.none(), r"QuerySet .*queryset\.values"),
        (2**70, "64-bit"),
        (b"x", "bytes"),
    ],
)
def test_what_has_no_form(value: object, words: str) -> None:
    """Anything else is a TypeError that says what."""
    with pytest.raises(TypeError, match=words):
        encode(value)


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, 678901),
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-3))),
        date(2026, 1, 2),
        time(3, 4, 5, 678901),
        timedelta(days=-1, microseconds=5),
        Decimal("1E+2"),
        UUID("12345678-1234-5678-1234-567812345678"),
        gettext_lazy("Yes"),
        {1: "a", None: "b", False: "c"},
    ],
)
def test_same_text_as_a_json_response(value: object) -> None:
    """A page reads a value in a push as it does in the answer of a view."""
    answer = json.dumps(value, cls=DjangoJSONEncoder, separators=(",", ":"))
    assert encode(value).decode() == answer


def test_lazy_translation_has_the_language_of_the_moment() -> None:
    """A lazy text is written in the language that is active when it is encoded."""
    with override("de"):
        assert encode([gettext_lazy("Yes")]).decode() == '["Ja"]'
