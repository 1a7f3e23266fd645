"""The admin's overview: totals, the last minutes, and what is down, slow or full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from realtime.admin.admin_page import AdminPage, Memory, Query
from realtime.operations import Overview, aoverview
from realtime.templatetags.realtime_admin import count, rate, size, unknown

Points = tuple[float | None, ...]


class Total(NamedTuple):
    """A figure of the whole deployment.

    Attributes:
        name: What it is.
        value: As it is shown.
        more: What else is to be said of it; may be empty.
        points: The last minutes, oldest first; empty where nobody keeps them.
    """

    name: str
    value: str
    more: str = ""
    points: Points = ()

    @property
    def is_known(self) -> bool:
        """Whether anybody knows the figure."""
        return self.value != unknown()


PAGES = {
    "server": "shardspage",
    "shard": "shardspage",
    "node": "nodespage",
    "kafka": "kafkapage",
}
"""Which page says more of a trouble, by where it is: the model of each."""


KIND_WORDS = {
    "down": pgettext_lazy("trouble", "down"),
    "failing": pgettext_lazy("trouble", "failing"),
    "full": pgettext_lazy("trouble", "full"),
    "late": pgettext_lazy("trouble", "late"),
    "paused": pgettext_lazy("trouble", "paused"),
    "lag": pgettext_lazy("trouble", "lag"),
    "slow": pgettext_lazy("trouble", "slow"),
    "letters": pgettext_lazy("trouble", "letters"),
    "draining": pgettext_lazy("trouble", "draining"),
    "unknown": pgettext_lazy("trouble", "unknown"),
}
"""What is said of a trouble, by its kind."""


class OverviewAdmin(AdminPage):
    """The first page."""

    page_title = gettext_lazy("Overview")
    page_template = "admin/realtime/overview.html"
    parts: ClassVar[Mapping[str, str]] = {"overview": "admin/realtime/parts/overview.html"}

    async def look(self, query: Query, memory: Memory) -> Mapping[str, Any]:
        """Return the totals, and what hurts."""
        found = await aoverview()
        recent = {} if found.recent is None else found.recent.series
        minutes = 0.0
        if found.recent is not None:
            longest = max((len(points) for points in recent.values()), default=0)
            minutes = longest * found.recent.step / 60
        return {
            "found": found,
            "totals": totals(found, recent),
            "minutes": minutes,
            "troubles": [
                (
                    trouble,
                    KIND_WORDS.get(trouble.kind, trouble.kind),
                    self.address_of(PAGES.get(trouble.where, "")),
                )
                for trouble in found.troubles
            ],
        }

    def address_of(self, model: str) -> str:
        """Return the address of a page of this admin site; empty if it has none of that."""
        return self.address(model) if model and self.has_page(model) else ""


def totals(found: Overview, recent: Mapping[str, Points]) -> list[Total]:
    """Return the figures of the overview, in the order in which they are shown."""

    def points(name: str) -> Points:
        return recent.get(name, ())

    is_limited = bool(found.capacity)
    fill = _of(count(found.capacity)) if is_limited else ""
    rooms = count(found.rooms)
    if found.rooms is not None and found.rooms_most not in (None, found.rooms):
        rooms = _("%(least)s to %(most)s") % {"least": rooms, "most": count(found.rooms_most)}
    return [
        Total(_("Connections"), count(found.connections), fill, points("connections")),
        Total(_("In rooms"), count(found.subscriptions), "", points("subscriptions")),
        Total(_("Rooms with members"), rooms),
        Total(_("Delivered/s"), rate(found.deliveries), "", points("deliveries")),
        Total(_("Published/s"), rate(found.publications), "", points("publications")),
        Total(_("Records of Kafka/s"), rate(found.records), "", points("records")),
        Total(_("Records that wait"), count(found.lag), "", points("lag")),
        Total(_("Workers"), count(found.workers)),
        Total(_("Redis servers up"), count(found.servers_up), _of(count(found.servers))),
        Total(_("Shards up"), count(found.shards_up), _of(count(found.shards))),
        Total(_("Memory of Redis"), size(found.memory)),
    ]


def _of(whole: str) -> str:
    return _("of %(whole)s") % {"whole": whole}
