"""The admin's Rooms pages: read-only, live from Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from realtime.conf import conf
from realtime.models import Room
from realtime.rooms.listing import (
    first_page,
    format_cursors,
    parse_cursors,
    room_with_history,
    rooms_page,
)
from realtime.rooms.room_names import is_room_name
from realtime.sharded_layer import sharded_layer
from shardlayer import Publication, ShardUnavailable

if TYPE_CHECKING:
    _RoomAdmin = admin.ModelAdmin[Room]
else:
    _RoomAdmin = admin.ModelAdmin  # takes no parameter at run time

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


@admin.register(Room)
class RoomAdmin(_RoomAdmin):
    """Shows rooms to staff with the permission `realtime.view_room`; changes nothing."""

    def get_urls(self) -> list[URLPattern]:
        """Serve the list and one room, instead of the views that work on a table."""
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name="realtime_room_changelist"),
            path("<str:name>/", view(self.room_view), name="realtime_room_change"),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds a room: it is there once somebody is in it."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Room | None = None) -> bool:
        """Nobody changes a room."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Room | None = None) -> bool:
        """Nobody deletes a room: it goes by itself."""
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """List rooms, a page at a time; `?q=` opens the room of that name."""
        self._require_view(request)
        sought = request.GET.get("q", "").strip()
        if is_room_name(sought):
            site = self.admin_site.name  # one project may have several admin sites
            return redirect(reverse("admin:realtime_room_change", args=[sought], current_app=site))
        layer = sharded_layer()
        servers = len(layer.servers())
        settings = conf()
        cursors = parse_cursors(request.GET.get("from", ""), servers)
        page = async_to_sync(rooms_page)(
            layer, cursors, count=settings.admin_page_size, within=settings.check_timeout
        )
        context = {
            "title": "Rooms",
            "page": page,
            "sought": sought,
            "is_first": cursors == first_page(servers),
            "next": format_cursors(page.next) if page.next else None,
        }
        return self._page(request, "rooms", context | (extra_context or {}))

    def room_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show one room: where it is, who is in it, what was published last."""
        self._require_view(request)
        if not is_room_name(name):
            raise Http404("That can't name a room.")
        layer = sharded_layer()
        context: dict[str, Any] = {
            "title": name,
            "name": name,
            "shard": layer.shard_of(name),
            "limit": HISTORY_SHOWN,
        }
        try:
            info, history = async_to_sync(room_with_history)(
                layer, name, limit=HISTORY_SHOWN, within=conf().check_timeout
            )
        except TimeoutError:
            context["unavailable"] = f"It did not answer within {conf().check_timeout:g} s."
        except ShardUnavailable as error:
            context["unavailable"] = str(error)
        else:
            context |= {"room": info, "history": [ShownPublication.of(item) for item in history]}
        return self._page(request, "room", context)

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        # By this the templates' links stay in this admin site, as those of Django's own pages do.
        request.current_app = self.admin_site.name
        common = self.admin_site.each_context(request) | {"opts": self.opts}
        return TemplateResponse(request, f"admin/realtime/{template}.html", common | context)
