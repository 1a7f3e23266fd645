"""The options of the command line, for `shardlayer-balancer` and `manage.py runbalancer`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from shardlayer.balancer.balancer import BACKLOG, MAX_CONNECTIONS, RESERVE, BalancerOptions

MAX_PORT = 65535
MOST = 2**31  # connections: more than a frame's field or a machine would hold


def add_arguments(
    parser: argparse.ArgumentParser,
    *,
    max_connections: int = MAX_CONNECTIONS,
    reserve: int = RESERVE,
) -> None:
    """Take the options, with these defaults."""
    parser.add_argument(
        "--socket",
        required=True,
        metavar="PATH",
        help="The Unix socket at which workers join (shardlayer-daphne --balancer PATH).",
    )
    parser.add_argument(
        "--host",
        dest="hosts",
        action="append",
        metavar="ADDRESS",
        help="An address for clients; may be given several times (default: 127.0.0.1).",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=8000,
        help="The TCP port; 0 is any that is free (default: %(default)s).",
    )
    parser.add_argument(
        "--socket-group",
        metavar="GROUP",
        help="A group whose members may be workers, too; without one only processes of this user.",
    )
    parser.add_argument(
        "--max-connections",
        type=_count,
        default=max_connections,
        metavar="CONNECTIONS",
        help="How many connections all workers may hold together; 0 is no limit (default: "
        "%(default)s).",
    )
    parser.add_argument(
        "--reserve",
        type=_count,
        default=reserve,
        metavar="CONNECTIONS",
        help="How many more there may be beyond that, for pages and the admin (default: "
        "%(default)s).",
    )
    parser.add_argument(
        "--backlog",
        type=_positive,
        default=BACKLOG,
        metavar="CONNECTIONS",
        help="How many connections may wait to be accepted; the kernel's own limit holds as well "
        "(default: %(default)s).",
    )
    parser.add_argument(
        "--health-port",
        type=_port,
        metavar="PORT",
        help="The port of the balancer's own /health. Without this option it has none.",
    )
    parser.add_argument(
        "--health-host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="The address of that /health (default: %(default)s).",
    )


def options_of(arguments: Mapping[str, Any]) -> BalancerOptions:
    """Return the balancer's options out of parsed arguments."""
    names = BalancerOptions.__dataclass_fields__
    values = {name: arguments[name] for name in names}
    hosts: Sequence[str] = arguments["hosts"] or ("127.0.0.1",)
    values["hosts"] = tuple(_bare(host) for host in hosts)
    values["health_host"] = _bare(arguments["health_host"])
    return BalancerOptions(**values)


def _bare(host: str) -> str:
    """Return an address without the brackets in which daphne's -b takes IPv6."""
    return host.strip("[]")


def _whole(text: str, lowest: int, highest: int) -> int:
    number = int(text)
    if not lowest <= number <= highest:
        raise argparse.ArgumentTypeError(f"must be {lowest} to {highest}")
    return number


def _port(text: str) -> int:
    return _whole(text, 0, MAX_PORT)


def _count(text: str) -> int:
    return _whole(text, 0, MOST)


def _positive(text: str) -> int:
    return _whole(text, 1, MOST)
