"""How it is started."""

from __future__ import annotations

import sys
from dataclasses import replace

from benchmarks.peers.ours.peer import OURS

_PROGRAM = (sys.executable, "-m", "shardlayer.server")

UVLOOP = replace(
    OURS,
    name="uvloop",
    title="Shardlayer on uvloop",
    what="Ours, with Twisted's asyncio reactor on uvloop's event loop.",
    command=(sys.executable, "-m", "benchmarks.peers.uvloop", *OURS.command[len(_PROGRAM) :]),
    versions=(*OURS.versions, "uvloop"),
)
