"""The same, where all clients are one user, of whom as many may come as there are; JWTs sign in."""

import os
from pathlib import Path

from benchmarks.peers.signed_in.settings import *  # noqa: F403
from benchmarks.peers.signed_in.settings import REALTIME

REALTIME |= {
    "MAX_USER_CONNECTIONS": 0,
    "JWT_ALGORITHM": "RS256",
    "JWT_KEYS": [Path(os.environ["BENCHMARK_JWT_KEY"]).read_text()],
}
