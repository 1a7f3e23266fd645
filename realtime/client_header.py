"""The client that a request of HTTP came from: which of the page's connections it has.

A page that asks a view to change something usually shows the change at once. So it should not be
told by the room again. The page sends its connection's id as a header, and the view hands it on:

    publish("orders", data, exclude=client_of(request))

The id is made for one connection, and only its client learns it: whoever knew it could keep
messages from that client.
"""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest

from shardlayer import is_client_name

CLIENT_HEADER: Final = "X-Realtime-Client"


def client_of(request: HttpRequest) -> str | None:
    """Return the id in a request's `X-Realtime-Client` header.

    None if there is none, or if it is not the id of a connection: anybody may send anything.
    """
    value = request.headers.get(CLIENT_HEADER)
    return value if is_client_name(value) else None


def require_client_id(value: str | None) -> str:
    """Return a client's id, empty for None.

    Raises:
        ValueError: It is no such id.
    """
    if value is None:
        return ""
    if not is_client_name(value):
        raise ValueError(
            f"exclude is {value!r:.100}, which is no client's id. Take it from the request by "
            f"realtime.client_of(request), or None to leave nobody out."
        )
    return value
