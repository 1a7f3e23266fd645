"""The process of a swarm: `python -m realtime.loadtest.swarm`, which the command starts."""

from __future__ import annotations

import gc
import resource

from realtime.loadtest.line_link import LineLink
from realtime.loadtest.swarm.swarm_loop import SwarmLoop

if __name__ == "__main__":
    gc.freeze()
    gc.disable()  # nothing here is in a circle for long, and a pause would be taken for a delay
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    SwarmLoop(LineLink()).run()
