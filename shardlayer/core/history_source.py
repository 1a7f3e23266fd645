"""Who says what rooms remember, where a layer's CONFIG does not.

An application that has rules of its own for kinds of rooms says there what each remembers. The
layer knows nothing of that application, so the application hands it a source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

HistorySource = Callable[[], Mapping[str, Any] | None]


def _nothing() -> None:
    return None


_source: HistorySource = _nothing


def set_history_source(source: HistorySource | None) -> None:
    """Have each layer that is made from here on, and whose CONFIG has no `history`, ask `source`.

    Args:
        source: Returns what `history` may be: globs with `size` and `ttl` or None, the first that
            matches a room counts; or None for the layer's default. None takes the source away.
    """
    global _source
    _source = source or _nothing


def history_of_source() -> Mapping[str, Any] | None:
    """Return what the source says; raises what it raises."""
    return _source()
