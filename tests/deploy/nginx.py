"""nginx with the configuration of deploy/nginx/, for nodes and ports of the tests."""

from __future__ import annotations

import re
from pathlib import Path

from demo.embedded import free_port
from tests import tools
from tests.realtime.process import Process

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "deploy" / "nginx" / "nginx.conf"
NODE = re.compile(r"server node-\d:8000 max_conns=(\d+) ")


def configuration(directory: Path, nodes: list[str], port: int, most_sockets: int) -> str:
    """Return what deploy/nginx/nginx.conf says, with what a site changes in it."""
    text = CONFIGURATION.read_text()
    addresses = iter(nodes * 3)  # of WebSockets, of streams, and of pages

    def address(line: re.Match[str]) -> str:
        most = min(int(line[1]), most_sockets) if line[1] == "4000" else int(line[1])
        return f"server {next(addresses)} max_conns={most} "

    text, found = NODE.subn(address, text)
    assert found == 3 * len(nodes)
    for old, new in {
        "listen 8000 ": f"listen 127.0.0.1:{port} ",
        "/run/nginx": str(directory),
        "access_log /dev/stdout": f"access_log {directory}/access.log",
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


class Nginx(Process):
    """A running nginx; as a context manager it runs inside the block.

    Attributes:
        port: Where clients come.
    """

    def __init__(self, directory: Path, *, nodes: list[str], most_sockets: int = 4000) -> None:
        program = tools.find("nginx")
        assert program is not None
        self.port = free_port()
        written = directory / "nginx.conf"
        written.write_text(configuration(directory, nodes, self.port, most_sockets))
        super().__init__(
            [program, "-p", str(directory), "-c", str(written), "-g", "daemon off;"],
            log=directory / "nginx.log",
        )
