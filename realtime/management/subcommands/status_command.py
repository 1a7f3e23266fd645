"""`manage.py realtime status`: the whole deployment at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from realtime.management.figures_text import UNKNOWN, number, rate, size, sparkline
from realtime.management.looking_command import LookingCommand, not_answering
from realtime.operations import Overview, Trouble, overview

SHOWN_TROUBLES = 20
MILD = ("draining", "letters", "lag")

ROWS = (
    ("Connections", "connections"),
    ("Deliveries", "deliveries"),
    ("Publications", "publications"),
)


class StatusCommand(LookingCommand):
    """Looks at every Redis server, and at no process."""

    help = "Show totals of all machines, the last ten minutes, and what is down, slow or full."

    def look(self, **options: Any) -> Overview:
        """Return the overview."""
        return overview()

    def why_unknown(self, found: Overview) -> str:
        """Say which servers did not answer."""
        return not_answering(found.silent)

    def lines(self, found: Overview) -> Iterator[str]:
        """Yield totals, the last minutes, and troubles."""
        processes = ", ".join(
            f"{number(count, none=UNKNOWN)} {name}"
            for name, count in (
                ("workers", found.workers),
                ("pools", found.pools),
                ("relays", found.relays),
            )
        )
        rooms = number(found.rooms, none=UNKNOWN)
        if found.rooms != found.rooms_most:
            rooms = f"{rooms} to {number(found.rooms_most, none=UNKNOWN)}"
        capacity = f" of {number(found.capacity)}" if found.capacity else ""
        facts = [
            ("Processes", processes),
            ("Servers", f"{found.servers_up} of {found.servers} answer, {_memory(found)}"),
            ("Shards", f"{number(found.shards_up, none=UNKNOWN)} of {found.shards} up"),
            ("Connections", number(found.connections, none=UNKNOWN) + capacity),
            ("Rooms", f"{rooms}, {number(found.subscriptions, none=UNKNOWN)} subscriptions"),
            ("Deliveries", f"{rate(found.deliveries, none=UNKNOWN)} a second"),
            ("Publications", f"{rate(found.publications, none=UNKNOWN)} a second"),
        ]
        if found.records is not None or found.lag is not None:
            kafka = f"{rate(found.records, none=UNKNOWN)} records a second"
            facts.append(("Kafka", f"{kafka}, lag {number(found.lag, none=UNKNOWN)}"))
        for name, value in facts:
            yield f"{name:<13} {value}"
        if found.recent is not None:
            yield ""
            length = max(map(len, found.recent.series.values()), default=0)
            yield f"The last {length * found.recent.step / 60:.0f} minutes:"
            for title, name in ROWS:
                values = found.recent.series[name]
                most = max((value for value in values if value is not None), default=None)
                yield f"{title:<13} {sparkline(values)} at most {rate(most, none=UNKNOWN)}"
        yield ""
        for trouble in found.troubles[:SHOWN_TROUBLES]:
            yield self._trouble(trouble)
        if len(found.troubles) > SHOWN_TROUBLES:
            yield f"… and {len(found.troubles) - SHOWN_TROUBLES} more."
        if not found.troubles:
            yield self.style.SUCCESS("Nothing is down, slow or full.")

    def _trouble(self, trouble: Trouble) -> str:
        style = self.style.WARNING if trouble.kind in MILD else self.style.ERROR
        return f"{style(trouble.kind.upper()):<9} {trouble.text}"


def _memory(found: Overview) -> str:
    return f"{size(found.memory, none=UNKNOWN)} of data"
