"""The admin's pages of rooms: the list, and one room."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from realtime.admin.admin_page import AdminPage, LiveView, Memory, Query
from realtime.admin.admin_permissions import Permission
from realtime.admin.room_actions import PublishForm, do_to_room
from realtime.admin.room_page import look_at_room
from realtime.admin.rooms_page import look_at_rooms
from realtime.rooms.room_keys import room_of
from realtime.rooms.room_names import is_room_name
from realtime.view_decorators import without_transaction

WATCH_PAUSE = 0.3  # seconds between two looks at a room that somebody watches


class RoomAdmin(AdminPage):
    """The list of rooms, and one room."""

    page_title = gettext_lazy("Rooms")
    page_template = "admin/realtime/rooms.html"
    parts: ClassVar[Mapping[str, str]] = {"rooms": "admin/realtime/parts/rooms.html"}

    def get_urls(self) -> list[URLPattern]:
        """Serve the list and one room."""
        one = self.admin_site.admin_view(self.room_view)
        return [*super().get_urls(), path("<str:key>/", one, name="realtime_room_change")]

    def live_view(self, name: str) -> LiveView | None:
        """Return the list's, or one room's: its name after `room:`, or `watch:` to look often."""
        kind, _, room = name.partition(":")
        if kind not in ("room", "watch") or not is_room_name(room):
            return super().live_view(name)
        return LiveView(
            look=partial(look_at_room, room, is_watched=kind == "watch"),
            parts={"room": "admin/realtime/parts/room.html"},
            pause=WATCH_PAUSE if kind == "watch" else None,
        )

    async def look(self, query: Query, memory: Memory) -> Mapping[str, Any]:
        """Return a page of rooms."""
        return await look_at_rooms(query, memory)

    @without_transaction  # the note of what is done stays, whatever comes behind it
    def room_view(self, request: HttpRequest, key: str) -> HttpResponse:
        """Show one room, or do something to it."""
        self.require(request, Permission.VIEW)
        name = room_of(key)
        if not is_room_name(name):
            raise Http404(_("That can't name a room."))
        form = None
        if request.method == "POST":
            form = do_to_room(self, request, name)
            if form is None:
                return HttpResponseRedirect(request.get_full_path())
        is_watched = request.GET.get("watch") == "1"
        context = {
            "title": name,
            "name": name,
            "is_watched": is_watched,
            "wrong": None if isinstance(form, PublishForm) else form,
            "form": form if isinstance(form, PublishForm) else PublishForm(),
        }
        view = f"{'watch' if is_watched else 'room'}:{name}"
        return self.show(request, "admin/realtime/room.html", context, view=view)
