"""What the templates of the admin's pages show figures with: `{% load realtime_admin %}`.

A figure that is not known is None, and shown as "unknown": never as 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import template
from django.http import QueryDict
from django.template import Context
from django.utils.formats import get_format, number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, gettext_noop

from realtime.byte_sizes import scaled_bytes
from realtime.rooms.room_keys import room_key

register = template.Library()
register.filter(room_key)

SPARK_WIDTH, SPARK_HEIGHT = 100, 20  # units of the picture, without one on the page
BAR_WIDTH, BARS_HEIGHT = 10, 40

_AGES = (
    (60, 1, gettext_noop("%(count)s s")),
    (3600, 60, gettext_noop("%(count)s min")),
    (2 * 86_400, 3600, gettext_noop("%(count)s h")),
    (float("inf"), 86_400, gettext_noop("%(count)s days")),
)  # below so many seconds, in units of so many, in words


def unknown() -> str:
    """Return what stands where a figure is not known."""
    return gettext("unknown")


def _number(value: float, digits: int = 0) -> str:
    """Return a number as the reader's language writes it, with its thousands apart."""
    return number_format(value, digits, use_l10n=True, force_grouping=True)


def _short(value: float, figures: int) -> str:
    """Return a number with so many figures, as `:g` has them, and the language's own point."""
    return f"{value:.{figures}g}".replace(".", get_format("DECIMAL_SEPARATOR"))


@register.filter
def count(value: float | None) -> str:
    """Return a whole number with its thousands apart: 12,345."""
    return unknown() if value is None else _number(value)


@register.filter
def rate(value: float | None) -> str:
    """Return a number a second, with as many digits as it takes to tell it from 0."""
    if value is None:
        return unknown()
    return _number(value) if value >= 100 or value == 0 else _short(value, 2)


@register.filter
def age(seconds: float | None) -> str:
    """Return how long ago something was: `now`, `12 s`, `5 min`."""
    if seconds is None:
        return unknown()
    if seconds < 1:
        return gettext("now")
    unit, words = next(each[1:] for each in _AGES if seconds < each[0])
    return gettext(words) % {"count": f"{seconds // unit:.0f}"}


@register.filter
def ago(seconds: float | None) -> str:
    """Return how long ago something was, in a sentence: `now`, `12 s ago`."""
    if seconds is None or seconds < 1:
        return age(seconds)
    return gettext("%(age)s ago") % {"age": age(seconds)}


@register.filter
def size(value: float | None) -> str:
    """Return a number of bytes: `512 B`, `3.4 MiB`."""
    if value is None:
        return unknown()
    number, digits, unit = scaled_bytes(value)
    return f"{_number(number, digits)} {unit}"


@register.filter
def duration_ms(seconds: float | None) -> str:
    """Return a short time in milliseconds: `0.42 ms`."""
    return unknown() if seconds is None else f"{_short(seconds * 1000, 3)} ms"


@register.filter
def percent(share: float | None) -> str:
    """Return a share from 0 to 1 as a percentage."""
    return unknown() if share is None else f"{share * 100:.0f} %"


@register.simple_tag
def sparkline(values: Sequence[float | None], label: str = "") -> SafeString:
    """Return a small picture of a figure over time, oldest first; a gap where it is not known.

    `label` says what it shows to who can't see it; without one the picture is left out for them.
    """
    known = [value for value in values if value is not None]
    if len(values) < 2 or not known:
        return mark_safe("")
    top = max(known) or 1
    step = SPARK_WIDTH / (len(values) - 1)
    runs: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            height = SPARK_HEIGHT - 1 - value / top * (SPARK_HEIGHT - 2)
            runs[-1].append(f"{index * step:.1f},{height:.1f}")
    lines = format_html_join(
        "", '<polyline points="{}"/>', ((" ".join(run),) for run in runs if run)
    )
    said = _said(
        gettext("%(label)s: %(now)s now, at most %(most)s")
        % {"label": label, "now": rate(known[-1]), "most": rate(top)}
        if label
        else ""
    )
    return format_html(
        '<svg class="realtime-spark" viewBox="0 0 {} {}" preserveAspectRatio="none" {}>{}</svg>',
        SPARK_WIDTH,
        SPARK_HEIGHT,
        said,
        lines,
    )


@register.simple_tag
def bars(
    values: Sequence[float | None], label: str = "", names: Sequence[object] | None = None
) -> SafeString:
    """Return a picture of a figure of several things, a bar for each; a frame where it is unknown.

    `names` says what each bar is of, for who points at it; without it they are numbered from 0.
    """
    if not values:
        return mark_safe("")
    top = max((value for value in values if value is not None), default=0) or 1
    names = range(len(values)) if names is None else names
    drawn = format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>',
        (
            (
                "realtime-no-bar" if value is None else "",
                index * BAR_WIDTH + 1,
                f"{BARS_HEIGHT - height:.1f}",
                BAR_WIDTH - 2,
                f"{height:.1f}",
                name,
                rate(value),
            )
            for index, (name, value) in enumerate(zip(names, values, strict=True))
            for height in (BARS_HEIGHT if value is None else max(value / top * BARS_HEIGHT, 0.5),)
        ),
    )
    said = _said(
        gettext("%(label)s: at most %(most)s") % {"label": label, "most": rate(top)}
        if label
        else ""
    )
    return format_html(
        '<svg class="realtime-bars" viewBox="0 0 {} {}" preserveAspectRatio="none" {}>{}</svg>',
        len(values) * BAR_WIDTH,
        BARS_HEIGHT,
        said,
        drawn,
    )


@register.simple_tag(takes_context=True)
def live_part(context: Context, name: str) -> SafeString:
    """Return the element of a page's part, which its WebSocket shows anew while it is open."""
    parts: Mapping[str, str] = context["parts"]
    content = context.template.engine.get_template(parts[name]).render(context)  # type: ignore[union-attr]
    return format_html('<div id="{}" data-live>{}</div>', name, content)


@register.simple_tag(takes_context=True)
def with_query(context: Mapping[str, Any], **changes: object) -> str:
    """Return this page's parameters with some changed, as the end of an address.

    An empty one is taken out.
    """
    query = QueryDict(mutable=True)
    query.update(
        {k: str(v) for k, v in (dict(context["query"]) | changes).items() if v not in ("", None)}
    )
    return f"?{query.urlencode()}"


def _said(label: str) -> SafeString:
    if not label:
        return mark_safe('aria-hidden="true"')
    return format_html('role="img" aria-label="{}"', label)
