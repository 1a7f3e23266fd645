"""Who listens where, and the environment that each part gets; pure.

Everything follows from PORT, so that parts started by Supervisor, by honcho or by hand find each
other without talking: the balancer has PORT, worker-1 PORT + 1, Redis and Kafka two ports above.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.devserver.errors import DevServerError
from demo.devserver.procfile import worker_number

DEFAULT_PORT = 8000
BALANCER_OFFSET = 0  # above PORT
REDIS_OFFSET = 10  # leaves room for nine workers
KAFKA_OFFSET = 11
_OFFSETS = {"balancer": BALANCER_OFFSET, "redis": REDIS_OFFSET, "kafka": KAFKA_OFFSET}
HIGHEST_PORT = 65535
HONCHO_STEP = 100  # honcho gives its n-th process PORT + 100 n
HOST = "127.0.0.1"
REDIS = Path("var/redis")  # the folder of the embedded Redis, as the Procfile has it
# ms; the embedded broker lets a group's first member wait for half of it, Kafka's default is 10 s
SESSION_TIMEOUT = 3000

# The variable that points a part elsewhere, so that it need not be started.
ELSEWHERE = {"redis": "REDIS_URL", "kafka": "KAFKA_BOOTSTRAP_SERVERS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The parts of one Procfile on one PORT.

    Attributes:
        names: The parts in the Procfile's order.
        port: The balancer's.
        elsewhere: Part -> the address that the environment gave for it.
        redis_password: Of the embedded Redis.
    """

    names: tuple[str, ...]
    port: int
    elsewhere: Mapping[str, str]
    redis_password: str = ""

    @property
    def started(self) -> tuple[str, ...]:
        """The parts that are started here."""
        return tuple(name for name in self.names if name not in self.elsewhere)

    @property
    def workers(self) -> tuple[str, ...]:
        """The workers' names."""
        return tuple(name for name in self.names if worker_number(name) is not None)

    def port_of(self, name: str) -> int | None:
        """Return the port that a part listens on, None when it listens on none."""
        if (number := worker_number(name)) is not None:
            return self.port + number
        offset = _OFFSETS.get(name)
        return None if offset is None else self.port + offset

    @property
    def url(self) -> str:
        """The demo's address for a browser, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def url_of(self, worker: str) -> str:
        """Return a worker's own address for a browser, without a slash at the end."""
        return f"http://{HOST}:{self.port_of(worker)}"

    @property
    def redis_url(self) -> str:
        """The address of Redis, with its password."""
        login = f":{self.redis_password}@" if self.redis_password else ""
        return self.elsewhere.get("redis", f"redis://{login}{HOST}:{self.port_of('redis')}")

    def environment(self) -> dict[str, str]:
        """Return the variables that all parts share."""
        embedded_kafka = {"KAFKA_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT)}
        return {
            **({} if "kafka" in self.elsewhere else embedded_kafka),
            "PORT": str(self.port),
            "REDIS_URL": self.redis_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.elsewhere.get(
                "kafka", f"{HOST}:{self.port_of('kafka')}"
            ),
            "SHARDLAYER_WORKERS": ",".join(f"{name}={self.url_of(name)}" for name in self.workers),
            "PYTHONUNBUFFERED": "1",  # a log line is in the log when it was written
        }

    def environment_of(self, name: str) -> dict[str, str]:
        """Return the variables of one part: the shared ones, and a worker's own port and name."""
        own = {"PORT": str(self.port_of(name)), "SHARDLAYER_WORKER": name}
        return self.environment() | (own if worker_number(name) is not None else {})

    def arguments_of(self, name: str, arguments: Iterable[str]) -> list[str]:
        """Fill in {PORT}, the port of the part itself, in its command."""
        return [word.replace("{PORT}", str(self.port_of(name))) for word in arguments]


def make_plan(
    names: Iterable[str], environ: Mapping[str, str], *, redis_password: str = ""
) -> Plan:
    """Return the plan for a Procfile's parts in an environment.

    Raises:
        DevServerError: PORT is not a port, or too high for all parts to have one.
    """
    listed = tuple(names)
    port = _number(environ.get("PORT") or str(DEFAULT_PORT))
    # "worker-2.1": the first process of that line. honcho started them all, in order.
    under_honcho = environ.get("HONCHO_PROCESS_NAME", "").rpartition(".")[0]
    if under_honcho in listed:
        port -= HONCHO_STEP * listed.index(under_honcho)
    if not 1 <= port <= HIGHEST_PORT - KAFKA_OFFSET:
        raise DevServerError(f"PORT={port} must be 1 to {HIGHEST_PORT - KAFKA_OFFSET}.")
    elsewhere = {part: environ[name] for part, name in ELSEWHERE.items() if environ.get(name)}
    return Plan(names=listed, port=port, elsewhere=elsewhere, redis_password=redis_password)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise DevServerError(f"PORT={text!r} is not a number.") from None
