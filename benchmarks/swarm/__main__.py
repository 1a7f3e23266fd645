"""The clients' process: `python -m benchmarks.swarm ACKS`, told by the benchmark what to do."""

from __future__ import annotations

import sys

from benchmarks.conversation import Instructions
from benchmarks.swarm.loop import Swarm

if __name__ == "__main__":
    Swarm(Instructions(), acks=int(sys.argv[1])).run()
