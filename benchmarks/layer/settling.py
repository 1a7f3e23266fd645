"""When a layer of ours is as it will stay: a registry that is new tells everything to all nodes."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.children import Servant
from benchmarks.layer.layers import LEASE
from benchmarks.rig import NotDelivering

_SETTLING = 3 * LEASE + 10.0  # seconds for a layer to deliver, as it does when nothing is new
_PAUSE = 0.2  # seconds between two tries


def settle(sender: Servant, arrives: Callable[[], bool], *, patience: float, what: str) -> None:
    """Try until what is sent arrives, told to no process but the member's.

    Args:
        sender: Who sends; it knows how often all nodes were told.
        arrives: Sends for a moment and says whether all of it came.
        patience: Seconds for the sender's answer.
        what: Of what is sent, for the error.

    Raises:
        NotDelivering: That was not so after some seconds.
    """

    def fallbacks() -> int:
        return int(sender.ask("fallbacks", patience)["count"])

    deadline = time.monotonic() + _SETTLING
    while time.monotonic() < deadline:
        before = fallbacks()
        if arrives() and fallbacks() == before:
            return
        time.sleep(_PAUSE)
    raise NotDelivering(f"{what} don't arrive as they should")
