"""How each part is found to be up: it is asked, as its users would ask it."""

from __future__ import annotations

import http.client
import json

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from demo.devserver.plan import HOST, REDIS, Plan
from demo.devserver.procfile import worker_number
from demo.embedded import EmbeddedValkey
from demo.embedded.ports import answers

ASK_TIMEOUT = 2.0  # seconds
ROOM = "machine.cpu"  # the feed writes to it ten times a second


def is_up(plan: Plan, name: str) -> bool:
    """Say whether a part that listens on a port does its work."""
    port = plan.port_of(name)
    if port is None:
        raise ValueError(f"{name} listens on no port.")
    if worker_number(name) is not None or name == "balancer":  # which has a worker answer
        return _ready(port)
    if name == "redis":
        return EmbeddedValkey(directory=REDIS, port=port, password=plan.redis_password).is_up()
    return answers(port)


def gets_live_data(plan: Plan) -> bool:
    """Say whether a client gets a push, which needs all parts: feed, Kafka, pool, Redis, a worker
    and the balancer. Waits ASK_TIMEOUT for it.
    """
    url = plan.url
    address = url.replace("http:", "ws:") + f"/ws/?room={ROOM}"
    try:
        # Without a bound on its queue: a full one, of a burst, would hold up the closing.
        with connect(
            address, origin=Origin(url), open_timeout=ASK_TIMEOUT, max_queue=None, proxy=None
        ) as client:
            while True:
                if "data" in json.loads(client.recv(timeout=ASK_TIMEOUT)):
                    return True
    except (OSError, WebSocketException):  # TimeoutError is an OSError
        return False


def _ready(port: int) -> bool:
    """Ask a worker's own health check."""
    connection = http.client.HTTPConnection(HOST, port, timeout=ASK_TIMEOUT)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
