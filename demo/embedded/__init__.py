"""Redis and Kafka without Docker: servers out of PyPI wheels, for development and for tests.

Needs the `embedded` extra. Imports neither Django nor anything else of this project, so that a test
or a script can use it alone:

    with EmbeddedValkey(directory=path) as redis:
        client = Redis.from_url(redis.url)
"""

from demo.embedded.ports import free_port
from demo.embedded.server import EmbeddedServer, EmbeddedServerError
from demo.embedded.tansu import EmbeddedTansu
from demo.embedded.valkey import EmbeddedValkey

__all__ = [
    "EmbeddedServer",
    "EmbeddedServerError",
    "EmbeddedTansu",
    "EmbeddedValkey",
    "free_port",
]
