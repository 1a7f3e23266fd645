"""The admin's Rooms pages, live from Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import orjson
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path

from realtime.admin.admin_page import AdminPage, LiveView, Memory, Query
from realtime.admin.admin_permissions import Permission
from realtime.admin.rooms_page import look_at_rooms
from realtime.conf import conf
from realtime.rooms.listing import room_with_history
from realtime.rooms.room_names import is_room_name
from realtime.sharded_layer import sharded_layer
from shardlayer import Publication

HISTORY_SHOWN = 50  # publications
DATA_SHOWN = 20_000  # characters of one publication


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPublication:
    """A publication as the page shows it: its data indented, and cut if they are long."""

    offset: int
    text: str
    hidden: int  # characters

    @classmethod
    def of(cls, publication: Publication) -> ShownPublication:
        """Return how to show `publication`; what is not JSON is shown as it is."""
        try:
            value = orjson.loads(publication.data)
            text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            text = publication.data.decode("utf-8", "replace")
        return cls(
            offset=publication.offset,
            text=text[:DATA_SHOWN],
            hidden=max(0, len(text) - DATA_SHOWN),
        )


class RoomAdmin(AdminPage):
    """The list of rooms, and one room."""

    page_title = "Rooms"
    page_template = "admin/realtime/rooms.html"
    parts: ClassVar[Mapping[str, str]] = {"rooms": "admin/realtime/parts/rooms.html"}

    def get_urls(self) -> list[URLPattern]:
        """Serve the list and one room."""
        one = self.admin_site.admin_view(self.room_view)
        return [*super().get_urls(), path("<str:key>/", one, name="realtime_room_change")]

    def live_view(self, name: str) -> LiveView | None:
        """Return the list's, or one room's: its name after `room:`."""
        kind, _, room = name.partition(":")
        if kind == "room" and is_room_name(room):
            look = partial(self.look_at_room, room)
            return LiveView(look=look, parts={"room": "admin/realtime/parts/room.html"})
        return super().live_view(name)

    async def look(self, query: Query, memory: Memory) -> Mapping[str, Any]:
        """Return a page of rooms."""
        return await look_at_rooms(query, memory)

    def room_view(self, request: HttpRequest, key: str) -> HttpResponse:
        """Show one room: where it is, who is in it, what was published last."""
        self.require(request, Permission.VIEW)
        name = unquote(key)
        if not is_room_name(name):
            raise Http404("That can't name a room.")
        context = {"title": name, "name": name}
        return self.show(request, "admin/realtime/room.html", context, view=f"room:{name}")

    async def look_at_room(self, name: str, query: Query, memory: Memory) -> Mapping[str, Any]:
        """Return what is known of a room."""
        layer = sharded_layer()
        context: dict[str, Any] = {"shard": layer.shard_of(name), "limit": HISTORY_SHOWN}
        try:
            info, history = await room_with_history(
                layer, name, limit=HISTORY_SHOWN, within=conf().check_timeout
            )
        except TimeoutError:
            return context | {
                "unavailable": f"It did not answer within {conf().check_timeout:g} s."
            }
        shown = [ShownPublication.of(item) for item in history]
        return context | {"room": info, "history": shown}
