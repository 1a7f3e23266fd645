"""Redis and Kafka without Docker: servers out of PyPI wheels, for development and for tests.

Needs the `embedded` extra. Imports neither Django nor anything else of this project, so that a test
or a script can use it alone:

    with EmbeddedValkey(directory=path) as redis:
        client = Redis.from_url(redis.url)
"""

from realtime.embedded.ports import free_port
from realtime.embedded.server import EmbeddedServer, EmbeddedServerError
from realtime.embedded.tansu import EmbeddedTansu
from realtime.embedded.valkey import EmbeddedValkey

__all__ = [
    "EmbeddedServer",
    "EmbeddedServerError",
    "EmbeddedTansu",
    "EmbeddedValkey",
    "free_port",
]
