"""What `manage.py realtime loadtest` takes of agents, and `loadtest agent` itself."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from realtime.loadtest.agents.load_agent import LoadAgent
from realtime.loadtest.agents.signed_lines import SHORTEST_KEY
from realtime.loadtest.load_failed import LoadFailed
from realtime.management.arguments import count

KEY_VARIABLE = "LOADTEST_AGENT_KEY"


def address(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError("must be HOST:PORT")
    return host.strip("[]"), int(port)


def add_agents(parser: argparse.ArgumentParser) -> None:
    """Take the agents of a load test."""
    parser.add_argument(
        "--agents",
        type=address,
        nargs="+",
        default=[],
        metavar="HOST:PORT",
        help="Agents, which hold the clients on other machines. This machine then holds none, "
        "unless --processes says so.",
    )
    parser.add_argument(
        "--agent-processes",
        type=count,
        default=1,
        metavar="N",
        help="Processes with clients for each agent (default 1).",
    )
    _add_key(parser)


def add_agent(parser: argparse.ArgumentParser) -> None:
    """Take what an agent itself needs."""
    parser.add_argument("--listen", type=address, required=True, metavar="HOST:PORT")
    parser.add_argument(
        "--yes-i-own-it",
        metavar="HOST",
        help="The only other host that this agent may test, beside its own machine.",
    )
    parser.add_argument(
        "--processes",
        type=count,
        default=os.cpu_count() or 1,
        help="Processes with clients at a time (default: as many as there are CPUs).",
    )
    _add_key(parser)


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--agent-key-file",
        type=Path,
        metavar="FILE",
        help=f"The file that has the agents' key (default: the variable {KEY_VARIABLE}).",
    )


def agent_key(options: Mapping[str, Any]) -> str:
    """Return the key that agents and the command share.

    Raises:
        LoadFailed: There is none, or it is too short.
    """
    file: Path | None = options["agent_key_file"]
    try:
        key = os.environ.get(KEY_VARIABLE, "") if file is None else file.read_text().strip()
    except OSError as error:
        raise LoadFailed(f"The key can't be read: {error}.") from error
    if len(key) < SHORTEST_KEY:
        raise LoadFailed(
            f"Agents need a key of {SHORTEST_KEY} characters or more, in {KEY_VARIABLE} or the "
            "file of --agent-key-file. `openssl rand -hex 32` makes one."
        )
    return key


async def run_agent(options: Mapping[str, Any], say: Callable[[str], Any]) -> None:
    """Be an agent until the process is stopped.

    Raises:
        LoadFailed: It can't listen, or has no key.
    """
    agent = LoadAgent(
        agent_key(options), owned=options["yes_i_own_it"], most=options["processes"], say=say
    )
    host, port = options["listen"]
    try:
        server = await agent.listen(host, port)
    except OSError as error:
        raise LoadFailed(f"Can't listen at {host}:{port}: {error}.") from error
    say(f"Listening at {host}:{port}.")
    async with server:
        await server.serve_forever()
