"""Where `history` and `calm` come from, if a layer's CONFIG does not have them.

An application may have settings of its own for kinds of rooms, which say how much history each
keeps. The layer knows nothing of that application, so the application hands it a source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

RoomSource = Callable[[], Mapping[str, Any]]
"""Returns the layer's options `history` and `calm`, or those of them that it says something of."""


def _nothing() -> Mapping[str, Any]:
    return {}


_source: RoomSource = _nothing


def set_room_source(source: RoomSource | None) -> None:
    """Have each layer that is made from now on ask `source` for what its CONFIG does not say.

    Args:
        source: Returns the options `history` and `calm` as CONFIG has them. It leaves out those
            for which the layer's default should count. None takes the source away.
    """
    global _source
    _source = source or _nothing


def options_of_source() -> Mapping[str, Any]:
    """Return what the source says; raises what it raises."""
    return _source()
