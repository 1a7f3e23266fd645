"""What a way to publish is, and two of them: the layer, and the HTTP API."""

from __future__ import annotations

import asyncio
import http.client
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import accumulate
from typing import Final
from urllib.parse import urlsplit

import orjson

from realtime.loadtest.load_failed import LoadFailed

Item = tuple[str, bytes]  # a room, and JSON
OwnFigure = tuple[str, dict[str, str], float]  # name without the prefix, labels, value


class PublishingWay(ABC):
    """Publishes; what one caller awaits after the other reaches a room in that order."""

    concurrent: bool = True  # whether calls may overlap and keep their order

    async def start(self) -> None:
        """Connect."""
        return

    @abstractmethod
    async def publish(self, items: Sequence[Item]) -> None:
        """Publish all of them, and return once the deployment has them.

        Raises:
            Exception: It may not have them all.
        """

    async def aclose(self) -> None:
        """Disconnect."""
        return

    def figures(self) -> list[OwnFigure]:
        """Return what this process would tell `/metrics`, which does not ask it."""
        return []


class LayerWay(PublishingWay):
    """`realtime.publish_many`, with the settings of this project."""

    async def publish(self, items: Sequence[Item]) -> None:
        """Publish in one call."""
        from realtime import apublish_many

        await apublish_many([(room, orjson.Fragment(data)) for room, data in items])

    def figures(self) -> list[OwnFigure]:
        """Return what the layer of this process did."""
        from realtime.sharded_layer import sharded_layer

        layer = sharded_layer()
        stats, calls = layer.stats(), layer.histograms().call_seconds
        targeted, fallback, published = (
            stats[name] for name in ("targeted", "fallback", "published")
        )
        bounds = [*(f"{bound:g}" for bound in calls.bounds), "+Inf"]  # as /metrics has them
        return [
            ("publications_total", {}, published),
            ("dispatch_total", {"type": "targeted"}, targeted),
            ("dispatch_total", {"type": "fallback"}, fallback),
            ("dispatch_total", {"type": "broadcast"}, max(published - targeted - fallback, 0)),
            *(
                ("redis_lookup_duration_seconds_bucket", {"le": bound}, count)
                for bound, count in zip(bounds, accumulate(calls.counts), strict=True)
            ),
        ]

    async def aclose(self) -> None:
        """Close the layer."""
        from realtime.sharded_layer import sharded_layer

        await sharded_layer().close()


class ApiWay(PublishingWay):
    """Batches over HTTP, one after the other, on a connection that is kept.

    Args:
        url: The address of `/api/batch`.
        key: The API key.
    """

    concurrent = False
    TIMEOUT: Final = 30.0  # seconds

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.netloc, timeout=self.TIMEOUT)
        self._path = parts.path
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    async def publish(self, items: Sequence[Item]) -> None:
        """Post one batch."""
        await asyncio.to_thread(self._post, items)

    def _post(self, items: Sequence[Item]) -> None:
        body = orjson.dumps(
            {"items": [{"room": room, "data": orjson.Fragment(data)} for room, data in items]}
        )
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != http.client.OK:
            raise LoadFailed(f"{answer.status}: {text[:200].decode(errors='replace')}")
        errors = [each for each in orjson.loads(text)["results"] if "error" in each]
        if errors:
            raise LoadFailed(f"{len(errors)} of {len(items)} failed: {errors[0]['error']}")

    async def aclose(self) -> None:
        """Disconnect."""
        self._connection.close()
