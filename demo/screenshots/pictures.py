"""Which pictures there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One, in each theme.

    Attributes:
        name: Its file's name begins so.
        shows: What it shows: `page`, `admin` or `dashboard`.
        path: The page's address below the worker's; of a dashboard its uid.
        ready: A CSS selector of what is there once the page is worth a picture.
        width: Of the page, in pixels.
        height: The same; 0: as high as the page is.
        settle: Seconds that it gets to draw what it has.
    """

    name: str
    shows: str
    path: str
    ready: str = "body"
    width: int = 1000
    height: int = 0
    settle: float = 0.5

    def file(self, theme: str, folder: Path = FOLDER) -> Path:
        """Return where it is."""
        return folder / f"{self.name}-{theme}.png"


def _admin(name: str, path: str, *, height: int) -> Picture:
    """Return one of the admin's pages, once it has refreshed itself some times."""
    return Picture(
        name=f"admin-{name}",
        shows="admin",
        path=f"admin/realtime/{path}",
        width=1280,
        height=height,
        settle=8.0,
    )


PICTURES: Sequence[Picture] = (
    Picture(
        name="demo",
        shows="page",
        path="",
        ready=".said",
        width=1100,
        height=1000,
    ),
    _admin("overview", "overviewpage/", height=720),
    _admin("rooms", "room/", height=760),
    _admin("room", "room/chat.kitchen/", height=1500),
    _admin("shards", "shardspage/", height=900),
    _admin("nodes", "nodespage/", height=560),
    _admin("kafka", "kafkapage/", height=900),
    *(
        Picture(name=f"dashboard-{name}", shows="dashboard", path=f"shardlayer-{name}", width=1240)
        for name in ("overview", "node", "shard", "kafka")
    ),
)
