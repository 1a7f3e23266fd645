"""What is asked of Twisted's HTTP channel that it does not offer: to leave nothing behind.

A channel whose client left in the middle of a body still has the decoder of that body, which knows
the channel. The attribute is private; read in Twisted 25.5 to 26.10. If it changes,
tests/server/test_garbage.py finds the channels.
"""

from __future__ import annotations

from twisted.web.http import HTTPChannel


def let_go(channel: HTTPChannel) -> None:
    """Break the reference cycle of a channel whose connection is gone."""
    channel._transferDecoder = None
