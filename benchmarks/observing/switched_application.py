"""The project's application, whose figures are switched on and off while it runs.

SIGUSR2: nothing is measured, sampled or written down; SIGUSR1: as ever. So both are the same
process, and how its memory happens to lie is not the result. The counters that are one addition
stay, since the layer's `stats()` are made of them. With `OBSERVING_SAMPLES=0` nothing is sampled on
either side: that costs by the second, and would be counted per delivery.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from config.asgi import application
from realtime.metrics.loop_looks import LoopLooks
from realtime.metrics.sampling import Sampling
from shardlayer import Histogram

ON, OFF = signal.SIGUSR1, signal.SIGUSR2

SELDOM = 1.0  # seconds between two looks whether the event loop is looked at again


def _ignore(*_: object) -> None:
    pass


def _look_seldom(looks: LoopLooks) -> None:
    looks._timer = looks._loop.call_later(SELDOM, looks._look)


# What is called for the sake of figures alone, and what is called instead.
_BY_DELIVERY = ((Histogram, "observe", _ignore),)
_BY_SECOND = ((Sampling, "_save", _ignore), (LoopLooks, "_look", _look_seldom))
_SAMPLES = os.environ.get("OBSERVING_SAMPLES") != "0"
_SWITCHED: tuple[tuple[type, str, Callable[..., None]], ...] = (
    _BY_DELIVERY + _BY_SECOND if _SAMPLES else _BY_DELIVERY
)
_REAL = [getattr(owner, name) for owner, name, _ in _SWITCHED]


def _switch(number: int, _: Any) -> None:
    for (owner, name, instead), real in zip(_SWITCHED, _REAL, strict=True):
        setattr(owner, name, real if number == ON else instead)


if not _SAMPLES:
    for its_class, its_name, _ in _BY_SECOND:
        setattr(its_class, its_name, _ignore)
for each in (ON, OFF):
    signal.signal(each, _switch)

__all__ = ["application"]
