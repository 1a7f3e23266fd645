"""Publishes the numbers 0 to 999 in a second: `python -m tests.javascript.burst URL ROOM`."""

from __future__ import annotations

import sys

from tests.browser.direct_publisher import direct_publisher

COUNT = 1_000

if __name__ == "__main__":
    with direct_publisher(sys.argv[1]) as publisher:
        publisher.publish(sys.argv[2], *range(COUNT), rate=COUNT)
