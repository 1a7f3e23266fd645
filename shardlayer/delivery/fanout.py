"""One broadcast to many sinks, with as little Python for each sink as possible.

A delivery to one client is a `send(2)` and the code around it. The sinks of our own server expose
the call that sends. So one `map` in C writes a slice of a room, and Python looks only at the sinks
that could not take all of it. A sink without such a call is asked to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import repeat
from operator import attrgetter, call
from typing import cast

from shardlayer.core.frames import Broadcast
from shardlayer.core.types import FrameSink, Sink

Failure = tuple[Sink, Exception]
"""A sink that could not be written to, and why."""

_send_of = attrgetter("send_frames")


def slices(members: Mapping[Sink, Sink], size: int) -> Iterator[Callable[[], list[Sink]]]:
    """Yield a call for each slice of up to `size` members.

    It returns where those of them are written that are still members: whoever has left by then
    gets nothing more. Let the event loop go on before the call, not behind it.
    """
    order = list(members)
    for start in range(0, len(order), size):
        part = order[start : start + size]
        yield lambda part=part: [members[sink] for sink in part if sink in members]  # type: ignore[misc]


def fan_out(
    sinks: Sequence[Sink], broadcast: Broadcast, frames: bytes | None = None
) -> list[Failure]:
    """Write a broadcast to each sink, in order, and return those for which that raised.

    `frames` is what is sent where sinks show the call that sends; None: the broadcast's own.
    """
    if frames is None:
        frames = broadcast.frames
    if len(sinks) == 1:
        return _send_one(sinks[0], broadcast, frames)
    sends: list[Callable[[bytes], int]] | None = None
    with suppress(AttributeError):
        sends = list(map(_send_of, sinks))
    if sends is None:  # not asked while that error is handled: what sinks raise would know it
        return _write_each(sinks, broadcast)
    return _send_each(cast(Sequence[FrameSink], sinks), sends, frames)


def _send_one(sink: Sink, broadcast: Broadcast, frames: bytes) -> list[Failure]:
    """Do as the others do for many sinks. Most rooms have one client, such as a user's own."""
    send: Callable[[bytes], int] | None = getattr(sink, "send_frames", None)
    if send is None:
        return _write_each((sink,), broadcast)
    sent = 0
    error: Exception | None = None
    try:
        sent = send(frames)
    except Exception as raised:
        error = raised
    if sent == len(frames) and error is None:
        return []
    try:
        cast(FrameSink, sink).settle(frames, sent, error)
    except Exception as failure:
        return [(sink, failure)]
    finally:
        del error  # it knows this frame, which would keep it
    return []


def _write_each(sinks: Sequence[Sink], broadcast: Broadcast) -> list[Failure]:
    failures: list[Failure] = []
    for sink in sinks:
        try:
            sink.write(broadcast)
        except Exception as error:
            failures.append((sink, error))
    return failures


def _send_each(
    sinks: Sequence[FrameSink], sends: Sequence[Callable[[bytes], int]], frames: bytes
) -> list[Failure]:
    failures: list[Failure] = []
    size = len(frames)
    sent: list[int] = []  # bytes, by each sink so far
    errors: dict[int, Exception] = {}
    calls = map(call, sends, repeat(frames))
    while len(sent) < len(sinks):
        try:
            sent.extend(calls)  # what was sent before a call that raises is kept
        except Exception as error:
            errors[len(sent)] = error
            sent.append(0)
        else:
            sent += [0] * (len(sinks) - len(sent))  # a StopIteration ended the map
    if sum(sent) == size * len(sinks):
        return failures
    for index, count in enumerate(sent):
        if count != size:
            try:
                # Not kept here: an error knows this frame, and would keep all sinks with it.
                sinks[index].settle(frames, count, errors.pop(index, None))
            except Exception as error:
                failures.append((sinks[index], error))
    return failures
