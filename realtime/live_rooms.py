"""State without a race: where a room was before the page's rows were read.

A page shows rows, and follows a room to hear what becomes of them. If it asks for the rows first
and follows the room then, what changed in between is missing. So it takes the room's position
first, reads the rows behind it, and has its client go on from that position: what changed since is
in the rows, or comes, or both, and is never missing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType

from channels import DEFAULT_CHANNEL_LAYER
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from realtime.conf import conf
from realtime.rooms.room_names import require_room_name
from realtime.sharded_layer import sharded_layer
from realtime.twins import LayerCall, twins
from shardlayer import Position, ShardUnavailable, Throttle

__all__ = ["LiveRoom", "aposition", "live", "position"]

logger = logging.getLogger(__name__)

UNKNOWN = Position(offset=0, epoch="unknown")
"""No room is ever there, so that whoever goes on from it is told that something may be missing."""

_complaint = Throttle()
_captured: ContextVar[Mapping[str, LiveRoom]] = ContextVar("realtime_captured", default={})  # noqa: B039 (never changed)


@dataclass(slots=True)
class PositionCounters:
    """Counts of this process, since it started.

    Attributes:
        unknown: Pages that got no position, since Redis did not answer in time.
    """

    unknown: int = 0


counters = PositionCounters()


def _position(room: str, *, using: str = DEFAULT_CHANNEL_LAYER) -> LayerCall[Position | None]:
    """Return a room's position now, so that a client can continue from it.

    A client that subscribes from it gets every publication that Redis takes after this call.

    Args:
        room: 1 to 99 ASCII letters, digits, hyphens, underscores and periods.
        using: The alias of the channel layer.

    Returns:
        The offset of the newest publication, with its epoch; offset 0 and an empty epoch if there
        was none yet. None in a room that keeps no history.

    Raises:
        ValueError: The room's name breaks the rules.
        ShardUnavailable: Redis did not answer within `POSITION_TIMEOUT` (1 second).
    """
    require_room_name(room)
    layer = sharded_layer(using)
    return LayerCall(layer, partial(layer.position, room, within=conf().position_timeout))


position, aposition = twins(_position)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRoom:
    """A room, and its position when the page was begun: what the client has to know.

    Attributes:
        room: The room's name.
        position: Its position; None in a room that keeps no history. `UNKNOWN` if Redis did not
            answer: then the client is told at once that something may be missing, and loads again.
    """

    room: str
    position: Position | None

    @property
    def fields(self) -> dict[str, object]:
        """The members `room`, `offset` and `epoch`, for a view that answers with JSON."""
        if self.position is None:
            return {"room": self.room}
        return {"room": self.room, "offset": self.position.offset, "epoch": self.position.epoch}

    @property
    def attributes(self) -> SafeString:
        """The same as attributes of an HTML element: `data-room`, `data-offset`, `data-epoch`."""
        return format_html_join(" ", 'data-{}="{}"', self.fields.items())

    def __str__(self) -> str:
        return format_html("{}", self.attributes)


@dataclass(slots=True)
class live:  # noqa: N801 (it reads as a statement: `with live("orders") as room:`)
    """Take a room's position before a view's queries, so that the client can continue from it.

        with live("orders") as room:
            orders = list(Order.objects.all())
            return render(request, "orders.html", {"room": room, "orders": orders})

    In the template, `<tbody {% realtime_room room %}>` passes it to the client. Inside the block
    `{% realtime_room "orders" %}` does so, too. `async with` is for asynchronous views. If Redis
    does not answer within `POSITION_TIMEOUT` the page is still made, with the position
    `UNKNOWN`. Queries that are lazy may run after the block, but none may have run before it: read
    from the primary database, and begin no transaction before the block where the isolation is
    "repeatable read".

    Raises:
        ValueError: The room's name breaks the rules.
        RuntimeError: `with` in a thread with a running event loop.
    """

    room: str
    using: str = field(default=DEFAULT_CHANNEL_LAYER, kw_only=True)
    _token: Token[Mapping[str, LiveRoom]] | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> LiveRoom:
        try:
            found = position(self.room, using=self.using)
        except ShardUnavailable as error:
            found = _unknown(error)
        return self._begin(found)

    async def __aenter__(self) -> LiveRoom:
        try:
            found = await aposition(self.room, using=self.using)
        except ShardUnavailable as error:
            found = _unknown(error)
        return self._begin(found)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _captured.reset(self._token)
            self._token = None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _begin(self, found: Position | None) -> LiveRoom:
        made = LiveRoom(room=self.room, position=found)
        self._token = _captured.set({**_captured.get(), self.room: made})
        return made


def captured(room: str) -> LiveRoom | None:
    """Return what the innermost block of `live` around this call took of a room, if any."""
    return _captured.get().get(room)


def _unknown(error: ShardUnavailable) -> Position:
    counters.unknown += 1
    if _complaint.is_due():
        logger.warning("A page has no position, so its client will load again: %s", error)
    return UNKNOWN
