"""The limit on open files: a connection is one, and shells often allow only 1,024."""

from __future__ import annotations

import logging
import resource

logger = logging.getLogger(__name__)

# Open files of a full server that are none of its capacity: connections to Redis and databases,
# the pages of its reserve, logs, what it sends from disk. A process with few has half for these.
BESIDES = 256


def raise_file_limit() -> int:
    """Let this process have as many open files as the system allows it; return how many.

    The soft limit is raised to the hard one. Programs that use select() could not live with that;
    asyncio's loops do not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:  # macOS has another limit below an infinite one
            logger.debug("The limit on open files stays at %d: %s", soft, error)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def room_for_connections(limit: int) -> int:
    """Return how many clients a server can hold that may have so many open files; 0 is no limit."""
    if limit == resource.RLIM_INFINITY:
        return 0
    return max(1, limit - min(BESIDES, limit // 2))
