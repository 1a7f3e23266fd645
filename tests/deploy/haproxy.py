"""HAProxy with the configuration of deploy/haproxy/, and what it knows of its servers."""

from __future__ import annotations

import csv
import socket
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from demo.embedded import free_port
from tests import tools
from tests.realtime.process import Process
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "deploy" / "haproxy" / "haproxy.cfg"
LOOPBACK = "127.0.0.1"


class HAProxy(Process):
    """A running HAProxy; as a context manager it runs inside the block.

    Args:
        directory: Where its log and its commands' socket are.
        names: Address of the name server that knows the nodes.
        nodes: The nodes' name and port, as name:port.
        configuration: Another configuration than that of deploy/haproxy/.
        environ: More of the configuration's variables.

    Attributes:
        port: Where clients come.
    """

    def __init__(
        self,
        directory: Path,
        *,
        names: str,
        nodes: str,
        configuration: Path | None = None,
        **environ: str,
    ) -> None:
        program = tools.find("haproxy")
        assert program is not None
        self.port, self.metrics_port = free_port(), free_port()
        self._admin = directory / "admin.sock"
        super().__init__(
            [program, "-db", "-f", str(configuration or CONFIGURATION)],
            log=directory / "haproxy.log",
            **{
                "HAPROXY_BIND": f"{LOOPBACK}:{self.port}",
                "HAPROXY_ADMIN": str(self._admin),
                "HAPROXY_METRICS": f"{LOOPBACK}:{self.metrics_port}",
                "HAPROXY_MAXCONN": "500",
                "HAPROXY_MOST_NODES": "4",
                "HAPROXY_DNS": names,
                "HAPROXY_NODES": nodes,
                **environ,
            },
        )

    def command(self, line: str) -> str:
        """Send a command to its socket and return the answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self._admin))
            connection.sendall(f"{line}\n".encode())
            with connection.makefile("r") as answer:
                return answer.read()

    def up(self, backend: str = "sockets") -> dict[str, int]:
        """Return the address of each node that may get connections, and how many it has."""
        try:
            table = self.command("show stat").removeprefix("# ").splitlines()
        except OSError:  # it has only just been started
            return {}
        return {
            row["addr"].partition(":")[0]: int(row["scur"])
            for row in csv.DictReader(table)
            if row["pxname"] == backend and row["type"] == "2" and row["status"] == "UP"
        }

    def down(self, backend: str = "sockets") -> set[str]:
        """Return the address of each node that failed all checks which it may fail."""
        table = self.command("show stat").removeprefix("# ").splitlines()
        return {
            row["addr"].partition(":")[0]
            for row in csv.DictReader(table)
            if row["pxname"] == backend and row["type"] == "2" and row["status"] == "DOWN"
        }

    def total(self, backend: str) -> int:
        """Return how many requests a backend has got so far."""
        table = self.command("show stat").removeprefix("# ").splitlines()
        [row] = [
            row
            for row in csv.DictReader(table)
            if (row["pxname"], row["svname"]) == (backend, "BACKEND")
        ]
        return int(row["stot"])

    def name_of(self, address: str, backend: str = "sockets") -> str:
        """Return the name of the server that has this address."""
        table = self.command("show stat").removeprefix("# ").splitlines()
        [name] = [
            row["svname"]
            for row in csv.DictReader(table)
            if row["pxname"] == backend and row["addr"].partition(":")[0] == address
        ]
        return name

    def watch(self, path: str) -> tuple[int, str]:
        """Return status and body of a page of the port that is not for clients."""
        try:
            with urlopen(
                f"http://{LOOPBACK}:{self.metrics_port}{path}", timeout=PATIENCE
            ) as answer:
                return answer.status, answer.read().decode()
        except URLError as error:
            return getattr(error, "code", 0), ""
