"""The admin's pages about realtime. Django's admin finds them by the name of this package.

A site of a project's own gets them by `register_pages(site)`.
"""

from __future__ import annotations

from django.contrib import admin

from realtime.admin.admin_page import AdminPage
from realtime.admin.kafka_admin import KafkaAdmin
from realtime.admin.keys_admin import ApiKeyAdmin
from realtime.admin.nodes_admin import NodesAdmin
from realtime.admin.overview_admin import OverviewAdmin
from realtime.admin.rooms_admin import RoomAdmin
from realtime.admin.shards_admin import ShardsAdmin
from realtime.models import ApiKey, KafkaPage, NodesPage, OverviewPage, Room, ShardsPage

__all__ = ["AdminPage", "ApiKeyAdmin", "OverviewAdmin", "RoomAdmin", "register_pages"]


def register_pages(site: admin.AdminSite) -> None:
    """Register every page about realtime with an admin site."""
    site.register(OverviewPage, OverviewAdmin)
    site.register(Room, RoomAdmin)
    site.register(ShardsPage, ShardsAdmin)
    site.register(NodesPage, NodesAdmin)
    site.register(KafkaPage, KafkaAdmin)
    site.register(ApiKey, ApiKeyAdmin)


register_pages(admin.site)
