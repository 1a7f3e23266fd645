"""The admin's Shards page: where each shard is, how it is, and how evenly they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from realtime.admin.admin_page import AdminPage, Memory, Query
from realtime.operations import ShardsStatus, ShardStatus, ashards


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownShard:
    """A shard as the page shows it."""

    status: ShardStatus
    since: datetime | None
    why: str  # its server does not answer; empty: it does
    is_idle: bool  # nobody published to its bundle in the last minute

    @classmethod
    def of(cls, status: ShardStatus, found: ShardsStatus) -> ShownShard:
        """Return how to show a shard."""
        server = next((each for each in found.servers if each.address == status.server), None)
        return cls(
            status=status,
            since=None if status.since is None else datetime.fromtimestamp(status.since, UTC),
            why="" if server is None else server.why,
            is_idle=found.are_figures_known and status.batch_p50 is None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure of all shards, as a picture: a bar for each."""

    name: str
    values: Sequence[float | None]

    @property
    def is_known(self) -> bool:
        """Return whether any of them is known."""
        return any(value is not None for value in self.values)


class ShardsAdmin(AdminPage):
    """The shards and their servers."""

    page_title = gettext_lazy("Shards")
    page_template = "admin/realtime/shards.html"
    parts: ClassVar[Mapping[str, str]] = {"shards": "admin/realtime/parts/shards.html"}

    async def look(self, query: Query, memory: Memory) -> Mapping[str, Any]:
        """Return how the shards are."""
        found = await ashards()
        return {
            "found": found,
            "shards": [ShownShard.of(shard, found) for shard in found.shards],
            "spreads": spreads(found),
            "are_down": sum(shard.state == "down" for shard in found.shards),
        }


def spreads(found: ShardsStatus) -> list[Spread]:
    """Return how evenly the shards are used."""
    return [
        Spread(
            name=_("Publications a second"), values=[shard.publications for shard in found.shards]
        ),
        Spread(name=_("Rooms"), values=[shard.rooms for shard in found.shards]),
        Spread(name=_("Members of rooms"), values=[shard.subscriptions for shard in found.shards]),
    ]
