"""`manage.py realtime nodes`: the processes of all machines; and having one drain."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.management.figures_text import duration, milliseconds, number, rate, size
from realtime.management.json_answer import write_answer
from realtime.management.looking_command import LookingCommand, not_answering
from realtime.management.operator_name import operator_name
from realtime.management.tables import table
from realtime.operations import CannotDrain, NodesStatus, NodeStatus, drain, nodes

HEAD = (
    *("ID", "Role", "Host", "PID", "Version", "Up", "Connections", "CPU", "Memory"),
    *("Rooms", "Subscriptions", "Deliveries/s", "Loop delay", "Lease", "State"),
)


class NodesCommand(LookingCommand):
    """Looks at what each process has told Redis, and at no process."""

    help = "Show the workers, pools and relays of all machines, or have a worker drain and end."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take in which form, or which worker is to drain."""
        super().add_arguments(parser)
        parser.add_argument(
            "--drain",
            metavar="ID",
            help="Drain the worker with this id, as SIGTERM does: its clients reconnect elsewhere, "
            "it ends, and its supervisor starts it again. The first characters of the id are "
            "enough.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Show them, or drain one."""
        wanted = options.pop("drain")
        if wanted is None:
            super().handle(*args, **options)
            return
        node = self._named(wanted)
        try:
            answer = drain(node.id, by=operator_name())
        except CannotDrain as error:
            raise CommandError(str(error)) from error
        name = f"{node.role} {node.host}:{node.pid}"
        text = (
            self.style.SUCCESS(f"{name} drains.")
            if answer.is_draining
            else f"{name} was told to drain, but has not confirmed it yet."
        )
        fields = {"id": node.id, "is_draining": answer.is_draining}
        write_answer(self, text, fields, json=options["json"])

    def look(self, **options: Any) -> NodesStatus:
        """Return the processes."""
        return nodes()

    def why_unknown(self, found: NodesStatus) -> str:
        """Say why it is not known which processes there are."""
        if not found.is_known:
            return f"The list of processes is unknown. {found.why}"
        return not_answering(found.silent)

    def lines(self, found: NodesStatus) -> Iterator[str]:
        """Yield a table of them."""
        shown = [*found.nodes, *found.lost]
        if shown:
            head, *rows = table(HEAD, [_row(node) for node in shown])
            yield head
            for node, row in zip(shown, rows, strict=True):
                yield self._coloured(node, row)
        elif found.is_known:
            yield "No process runs, as far as Redis knows."

    def _coloured(self, node: NodeStatus, row: str) -> str:
        if node.is_lost or node.is_late or node.unheard or node.failing:
            return self.style.ERROR(row)
        return self.style.WARNING(row) if node.is_draining else row

    def _named(self, wanted: str) -> NodeStatus:
        known = nodes()
        if not known.is_known:
            raise CommandError(self.why_unknown(known))
        found = [node for node in known.nodes if node.id.startswith(wanted)] if wanted else []
        if len(found) != 1:
            several = "Several processes have" if found else "No process has"
            raise CommandError(f"{several} an id that begins with {wanted!r}.")
        return found[0]


def _row(node: NodeStatus) -> tuple[str, ...]:
    connections = number(node.connections)
    if node.capacity:
        connections += f" of {number(node.capacity)}"
    return (
        node.id,
        node.role,
        node.host,
        str(node.pid),
        node.version,
        duration(time.time() - node.started),
        connections,
        "-" if node.cpu is None else f"{node.cpu:.0f} %",
        size(node.memory),
        number(node.rooms),
        number(node.subscriptions),
        rate(node.deliveries),
        milliseconds(node.loop_delay),
        duration(node.lease_age),
        _state(node),
    )


def _state(node: NodeStatus) -> str:
    if node.is_lost:
        return f"lost, silent for {duration(node.age)}"
    if node.is_late:
        return f"silent for {duration(node.age)}"
    if node.is_draining:
        return "draining"
    if node.unheard:
        return "can't hear Redis"
    return "failing" if node.failing else "well"
