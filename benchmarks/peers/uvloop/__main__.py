"""`shardlayer-daphne` on uvloop: Daphne keeps a reactor that was installed before it."""

from __future__ import annotations

import uvloop
from twisted.internet import asyncioreactor

asyncioreactor.install(uvloop.new_event_loop())  # type: ignore[no-untyped-call]

from shardlayer.server.__main__ import main  # noqa: E402

main()
