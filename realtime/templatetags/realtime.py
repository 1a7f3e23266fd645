"""Template tags: `{% load realtime %}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from realtime.client_script import client_script
from realtime.html_changes import require_trusted
from realtime.live_models import html_id
from realtime.live_rooms import LiveRoom, captured, live
from realtime.room_tokens import sign_room

register = template.Library()


@register.simple_tag(takes_context=True)
def realtime_room_token(context: Mapping[str, Any], room: str, expires: float | None = None) -> str:
    """Return a token with which this page joins `room`, see `realtime.room_tokens.sign_room`.

    Where the page's request has a user who is signed in, the token is theirs alone. On a page for
    everybody it is good for whoever has it.

    Raises:
        ImproperlyConfigured: The template does not know the request. The token would be good for
            whoever has it, also on a page of somebody who is signed in.
    """
    request = context.get("request")
    if request is None:
        raise ImproperlyConfigured(
            "realtime_room_token needs the request: render the template with it, and name "
            "'django.template.context_processors.request' in TEMPLATES. For a token that anybody "
            "may use, call realtime.room_tokens.sign_room(room)."
        )
    user = getattr(request, "user", None)
    session = getattr(request, "session", None)
    key = None if session is None else session.session_key
    return sign_room(room, user, session_key=key, expires=expires)


@register.filter
def live_id(row: Model) -> str:
    """Return the id of a row's element, such as `order-7`, as a live model publishes it."""
    return html_id(row)


@register.simple_tag(takes_context=True)
def realtime_room(
    context: Mapping[str, Any], room: str | LiveRoom, token: bool = False, html: bool = False
) -> SafeString:
    """Return attributes that tell an element's client which room to follow, and from where.

    `<tbody {% realtime_room "orders" %}>` becomes
    `<tbody data-room="orders" data-offset="41" data-epoch="k3xw91ab">`. The position is that of
    the block of `live("orders")` around the rendering, else it is taken now: put the tag before
    what reads the rows, and have them read by the template. With a `LiveRoom` it is that one's.

    With `token=True` it adds a `data-token` that opens the room, as `realtime_room_token` makes it.
    With `html=True` it adds `data-html`, so that `<realtime-room>` takes HTML from the room.

    Raises:
        ImproperlyConfigured: An event loop runs here, and no block of `live` took the position;
            clients may publish to a room whose HTML is to be taken; or as `realtime_room_token`
            does.
        ValueError: The room's name breaks the rules.
    """
    taken = room if isinstance(room, LiveRoom) else captured(room)
    if taken is None:
        try:
            with live(str(room)) as taken:
                pass
        except RuntimeError as error:
            raise ImproperlyConfigured(
                f"In an asynchronous view, render the template within "
                f"async with live({room!r}) as room: …"
            ) from error
    made = taken.attributes
    if token:
        opens = realtime_room_token(context, taken.room)
        made = format_html('{} data-token="{}"', made, opens)
    if html:
        require_trusted(taken.room)
        made = format_html("{} data-html", made)
    return made


@register.simple_tag(takes_context=True)
def realtime_client(context: Mapping[str, Any]) -> SafeString:
    """Return the `<script>` of the JavaScript client: then `Shardlayer.RealtimeClient` is there.

    It has an `integrity`, and the nonce of Django's Content Security Policy where the template
    knows `csp_nonce`.
    """
    script = client_script()
    attributes = {"src": script.url, "integrity": script.integrity, "crossorigin": "anonymous"}
    attributes["nonce"] = str(context.get("csp_nonce") or "")
    written = format_html_join("", ' {}="{}"', ((k, v) for k, v in attributes.items() if v))
    return format_html("<script{}></script>", written)
