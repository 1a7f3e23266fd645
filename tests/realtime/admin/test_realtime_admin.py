"""What the admin's templates show figures with."""

from __future__ import annotations

import pytest
from django.template import engines

from realtime.templatetags import realtime_admin as tags


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (tags.count(12345), "12,345"),
        (tags.count(0), "0"),
        (tags.rate(0), "0"),
        (tags.rate(0.042), "0.042"),
        (tags.rate(1234.5), "1,234"),
        (tags.age(0.4), "now"),
        (tags.age(59.9), "59 s"),
        (tags.age(61), "1 min"),
        (tags.age(7300), "2 h"),
        (tags.age(10 * 86_400), "10 days"),
        (tags.size(512), "512 B"),
        (tags.size(3_400_000), "3.2 MiB"),
        (tags.size(5e15), "4,547 TiB"),
        (tags.duration_ms(0.00042), "0.42 ms"),
        (tags.percent(0.914), "91 %"),
    ],
)
def test_figures_are_short(shown: str, expected: str) -> None:
    """A figure is as long as it must be."""
    assert shown == expected


@pytest.mark.parametrize("show", [tags.count, tags.rate, tags.age, tags.size, tags.percent])
def test_what_is_not_known_is_not_zero(show: object) -> None:
    """None is shown as unknown."""
    assert show(None) == "unknown"  # type: ignore[operator]


def render(source: str, **context: object) -> str:
    """Return what a template makes."""
    text: str = engines["django"].from_string("{% load realtime_admin %}" + source).render(context)
    return text


def test_sparkline_has_gaps_and_words() -> None:
    """What was not known leaves a gap; who can't see it is told."""
    picture = render('{% sparkline values "Messages" %}', values=[1, 2, None, 4, 3])
    assert picture.count("<polyline") == 2
    assert 'aria-label="Messages: 3 now, at most 4"' in picture


@pytest.mark.parametrize("values", [[], [1], [None, None]])
def test_nothing_to_draw_is_nothing(values: list[object]) -> None:
    """There is no picture of one value, or of none."""
    assert render("{% sparkline values %}", values=values) == ""


def test_zeros_are_a_line_at_the_bottom() -> None:
    """Nothing going on is a picture, too."""
    assert "19.0" in render("{% sparkline values %}", values=[0, 0])


def test_bars_are_named_and_escaped() -> None:
    """Each bar says what it is of; an unknown one is a frame."""
    picture = render('{% bars values "Rooms" names %}', values=[1, None], names=["<a>", "b"])
    assert "<title>&lt;a&gt;: 1</title>" in picture
    assert 'class="realtime-no-bar"' in picture
    assert "<title>b: unknown</title>" in picture


def test_query_is_changed_in_part() -> None:
    """A link keeps what the page was asked but for what it changes."""
    asked = {"q": "a&b", "page": "2"}
    assert render('{% with_query page="" sort="rate" %}', query=asked) == "?q=a%26b&amp;sort=rate"
