"""Template tags: `{% load realtime %}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template
from django.core.exceptions import ImproperlyConfigured

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
            "'django.template.context_processors.request' in TEMPLATES. "
            "A token for whoever has it is realtime.room_tokens.sign_room(room)."
        )
    user = getattr(request, "user", None)
    session = getattr(request, "session", None)
    key = None if session is None else session.session_key
    return sign_room(room, user, session_key=key, expires=expires)
