"""Changes of a page as HTML: rendered once on the server, put into every page that shows the room.

`<realtime-room>` in the browser takes them. HTML is code: whoever may publish it may do in the page
whatever its reader may. So it goes only into rooms that clients can't publish to, and the template
tag checks that before a page takes HTML from a room.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from django.template.loader import render_to_string

from realtime.access.permission_rules import NOBODY
from realtime.access.rules_by_room import room_rules

Swap = Literal["append", "prepend", "replace", "remove"]

SWAPS: Final = ("append", "prepend", "replace", "remove")
MAX_ID = 200  # characters
_is_id = re.compile(rf"[A-Za-z0-9_.:-]{{1,{MAX_ID}}}").fullmatch

_KEPT = 100  # characters of an id that is too long, before its digest


def html_change(
    template: str | None,
    context: Mapping[str, Any] | None = None,
    *,
    swap: Swap = "append",
    id: str | None = None,
) -> dict[str, object]:
    """Return data that, once published, change the pages that follow the room.

    The template is rendered now, once for everybody. It gets no request, so nothing of one user
    is in it. It is escaped as any template.

        publish("orders", html_change("orders/_row.html", {"order": order}, id="order-7"))

    Args:
        template: Its name; None to remove.
        context: The template's context. `id` is added to it, if that is given.
        swap: "append" and "prepend" insert it at the end or the beginning of the room's element. If
            an element with the same id is there, they replace that, so a change may come twice.
            "replace" only replaces. "remove" removes the element.
        id: Of the HTML element that changes. The template gives it to its element: `id="{{ id }}"`.

    Raises:
        ValueError: `swap` is none, "replace" or "remove" has no id, or an id has other characters
            than letters, digits and `_.:-`.
        TemplateDoesNotExist, TemplateSyntaxError: As Django raises them.
    """
    if swap not in SWAPS:
        raise ValueError(f"A swap is one of {', '.join(SWAPS)}, not {swap!r}.")
    if id is None and swap in ("replace", "remove"):
        raise ValueError(f"What is to {swap} is found by its id, which is missing.")
    if id is not None and not _is_id(id):
        raise ValueError(f"An id has letters, digits and _.:- (1 to {MAX_ID}), not {id!r:.300}.")
    if (template is None) != (swap == "remove"):
        raise ValueError("There is a template for everything but to remove.")
    made: dict[str, object] = {"swap": swap}
    if id is not None:
        made["id"] = id
    if template is not None:
        made["html"] = render_to_string(template, {"id": id, **(context or {})})
    return made


def element_id(name: str, key: object) -> str:
    """Return the id of an element from a name without hyphens and a key, such as `order-7`.

    Letters, digits and `_.-` stay. For each byte of the UTF-8 of others there is a colon and two
    hexadecimal digits: `A/7 red` gives `item-A:2F7:20red`. An id of more than `MAX_ID` characters
    ends with two colons and the SHA-256. So no two keys give the same id.
    """
    escaped = quote(f"{name}-{key}", safe="", encoding="utf-8", errors="surrogatepass")
    escaped = escaped.replace("~", "%7E").replace("%", ":")
    if len(escaped) <= MAX_ID:
        return escaped
    return f"{escaped[:_KEPT]}::{sha256(escaped.encode()).hexdigest()}"


def require_trusted(room: str) -> None:
    """Let HTML of a room be put into pages.

    Raises:
        ImproperlyConfigured: Clients may publish to the room, and so would write pages of others.
    """
    if room_rules().of(room).publish is not NOBODY:
        raise ImproperlyConfigured(
            f"Clients may publish to {room}, so its HTML can't be trusted: it would run in the "
            f"pages of others. Publish the HTML to a room whose ROOMS entry has no 'publish'."
        )
