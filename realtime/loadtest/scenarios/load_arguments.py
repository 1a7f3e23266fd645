"""Arguments and limits that several scenarios take."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from realtime.loadtest.load_session import Finish, LoadSession
from realtime.loadtest.reporting.load_report import LoadCheck, LoadReport
from realtime.loadtest.scenarios.delivery_counts import DeliveryCounts
from realtime.management.arguments import count


def share(text: str) -> float:
    """Return a number from 0 on."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must be a number, 0 or more")
    return number


def add_crowd(parser: argparse.ArgumentParser, *, clients: int, rooms: int) -> None:
    """Take how many clients there are, and how they connect."""
    parser.add_argument(
        "--clients", type=count, default=clients, help=f"How many connect (default {clients})."
    )
    parser.add_argument(
        "--rooms",
        type=count,
        default=rooms,
        help=f"Rooms that the clients are spread over (default {rooms}).",
    )
    add_clients(parser)


def add_clients(parser: argparse.ArgumentParser) -> None:
    """Take how clients connect."""
    parser.add_argument(
        "--pace",
        type=share,
        default=0,
        metavar="A_SECOND",
        help="Connections that begin in a second (default 0: 64 are under way at a time).",
    )


def add_stream(parser: argparse.ArgumentParser, *, rate: float, seconds: float) -> None:
    """Take what is published, and the limits on who must get in, what they get, and how soon."""
    parser.add_argument(
        "--rate",
        type=share,
        default=rate,
        help=f"Publications a second, over all rooms (default {rate:g}).",
    )
    parser.add_argument(
        "--seconds", type=share, default=seconds, help=f"How long (default {seconds:g})."
    )
    parser.add_argument(
        "--size", type=count, default=250, help="Bytes of a publication's data (default 250)."
    )
    parser.add_argument(
        "--patience",
        type=share,
        default=30,
        metavar="S",
        help="Seconds that clients may wait for the last publications (default 30).",
    )
    add_connect_limits(parser)
    _add_delivery_limits(parser)


def add_warm_up(parser: argparse.ArgumentParser) -> None:
    """Take how long registries of a new Redis need until they are trusted."""
    parser.add_argument(
        "--warm-up",
        type=share,
        default=6,
        metavar="S",
        help="Seconds of publications before those that count (default 6: for one lease, which is "
        "5 s here, all nodes are told of everything).",
    )


def _add_delivery_limits(parser: argparse.ArgumentParser) -> None:
    """Take what clients must get, and how soon."""
    limits = parser.add_argument_group("limits: if one is not kept, the exit code is 1")
    for name in ("p50", "p95", "p99"):
        limits.add_argument(
            f"--max-{name}",
            type=share,
            metavar="MS",
            help=f"Milliseconds from the call that publishes to the client, {name}.",
        )
    limits.add_argument(
        "--max-lost",
        type=share,
        default=0,
        metavar="N",
        help="Publications that a client never got, over all clients (default 0).",
    )
    limits.add_argument(
        "--max-wrong",
        type=share,
        default=0,
        metavar="N",
        help="Publications that came twice, out of order, or to a client that is not in the room "
        "(default 0).",
    )
    limits.add_argument(
        "--max-failed",
        type=share,
        default=0,
        metavar="N",
        help="Publications that the deployment did not take (default 0).",
    )
    limits.add_argument(
        "--min-deliveries",
        type=share,
        metavar="A_SECOND",
        help="Deliveries a second, on average.",
    )


def add_connect_limits(parser: argparse.ArgumentParser) -> None:
    """Take who must get in."""
    parser.add_argument(
        "--max-refused",
        type=share,
        default=0,
        metavar="N",
        help="Clients that do not get in (default 0).",
    )


def check_deliveries(
    options: Mapping[str, Any],
    session: LoadSession,
    report: LoadReport,
    finish: Finish,
    *,
    seconds: float,
) -> None:
    """Write down whether the limits of `add_stream` are kept."""
    figures = session.figures
    for name, percent in (("p50", 50), ("p95", 95), ("p99", 99)):
        limit = options[f"max_{name}"]
        if limit is not None:
            delay = figures.delays.percentile(percent)
            found = None if delay is None else delay * 1e3
            report.checks.append(LoadCheck(name=name, limit=limit, found=found, unit="ms"))
    check_counts(
        report,
        DeliveryCounts.of(session, missing=finish.missing),
        lost=options["max_lost"],
        wrong=options["max_wrong"],
        failed=options["max_failed"],
    )
    if options["min_deliveries"] is not None:
        found = figures.deliveries / seconds if seconds else None
        report.checks.append(
            LoadCheck(
                name="deliveries a second",
                limit=options["min_deliveries"],
                found=found,
                at_least=True,
            )
        )


def check_counts(
    report: LoadReport,
    counts: DeliveryCounts,
    *,
    lost: float | None = 0,
    wrong: float = 0,
    failed: float | None = 0,
) -> None:
    """Write down whether publications arrived as promised.

    Args:
        report: Where to.
        counts: What did not.
        lost: The most that may be lost; None: any number, as the load may be too high.
        wrong: The most that may come twice, out of order, or to a client that is not in the room.
        failed: The most that may not be taken; None: any number.
    """
    limits: tuple[tuple[str, float | None, int | None], ...] = (
        ("lost", lost, counts.lost if counts.judged else None),
        ("wrong", wrong, counts.wrong if counts.judged else None),
    )
    report.checks += [
        LoadCheck(name=name, limit=limit, found=found)
        for name, limit, found in (*limits, ("failed", failed, counts.failed))
        if limit is not None
    ]


def check_entered(report: LoadReport, options: Mapping[str, Any], entered: int, of: int) -> None:
    """Write down whether the limit of `add_connect_limits` is kept; somebody must be in anyhow.

    Args:
        report: Where to.
        options: What was given on the command line.
        entered: How many got in.
        of: How many were to.
    """
    limit = options["max_refused"]
    report.checks.append(LoadCheck(name="refused", limit=limit, found=of - entered))
    if not entered:
        report.checks.append(LoadCheck(name="got in", limit=1, found=0, at_least=True))
