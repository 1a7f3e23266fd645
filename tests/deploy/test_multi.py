"""The commands of docker-compose.multi.yml, run without containers: a balancer, three workers."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from demo.embedded import EmbeddedValkey, free_port
from tests.deploy.compose_file import SECRETS, load
from tests.realtime.process import BIN, ROOT, Process
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

START_TIMEOUT = 60.0  # seconds


def command(words: list[str], directory: Path, ports: dict[str, int]) -> list[str]:
    """Return a service's command for this machine: other ports, and its volume elsewhere."""
    program, *arguments = words
    found = {"python": sys.executable}.get(program, str(BIN / program))
    for old, new in {"/run/shardlayer": str(directory), "0.0.0.0": "127.0.0.1"}.items():
        arguments = [word.replace(old, new) for word in arguments]
    for old, port in ports.items():  # "8000", or "--port=8000"
        new = old.removesuffix(old.rpartition("=")[2]) + str(port)
        arguments = [new if word == old else word for word in arguments]
    return [found, *arguments]


def test_workers_share_the_connections(redis_server: EmbeddedValkey, tmp_path: Path) -> None:
    """All connections come to one port, each worker has a third, and a message reaches all."""
    services = load(ROOT / "docker-compose.multi.yml", environ=SECRETS)["services"]
    port, health = free_port(), free_port()
    with ExitStack() as stack:

        def start(name: str, **ports: int) -> Process:
            given: dict[str, Any] = services[name]["environment"]
            environ = {
                **{key: str(value) for key, value in given.items() if "HOSTS" in key},
                "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
                "REDIS_URL": redis_server.url,
                "METRICS_DIRECTORY": given.get("METRICS_DIRECTORY", "/run/shardlayer/own").replace(
                    "/run/shardlayer", str(tmp_path)
                ),
            }
            words = command(services[name]["command"], tmp_path, ports)
            return stack.enter_context(Process(words, log=tmp_path / f"{name}.log", **environ))

        start("balancer", **{"--port=8000": port, "--health-port=8001": health})
        workers = [
            start(f"worker-{number}", **{"--port=8000": free_port()}) for number in (1, 2, 3)
        ]

        def state() -> Any:
            try:
                with urlopen(f"http://127.0.0.1:{health}/health", timeout=5) as answer:
                    return json.load(answer)
            except OSError:
                return {}

        wait_until(
            lambda: len(state().get("workers", ())) == 3,
            within=START_TIMEOUT,
            what="".join(worker.output() for worker in workers),
        )
        smoke = [sys.executable, str(ROOT / "bin" / "smoke.py"), f"http://localhost:{port}"]
        found = subprocess.run(smoke, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        assert found.stdout.startswith("30 WebSockets on 3 nodes in ")

        def figures() -> set[str]:
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
                text = str(answer.read(), "utf-8")
            return {
                line.partition(" ")[0]
                for line in text.splitlines()
                if line.startswith("shardlayer_connections{")
            }

        # Whichever worker is asked tells the figures of all, by the volume that they share.
        expected = {f'shardlayer_connections{{role="worker",worker="{n}"}}' for n in range(3)}
        wait_until(lambda: figures() == expected, within=START_TIMEOUT)
