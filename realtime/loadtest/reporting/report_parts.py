"""Parts that the reports of several scenarios have."""

from __future__ import annotations

import time
from collections.abc import Sized
from typing import Final

from realtime.loadtest.delay_histogram import DelayHistogram
from realtime.loadtest.load_session import Finish, LoadSession
from realtime.loadtest.reporting.live_view import in_ms
from realtime.loadtest.reporting.load_report import LoadReport, ReportPlot, ReportTable

_SHOWN: Final = 50  # rows
_PERCENTS: Final = (50, 95, 99)


def tell_deliveries(
    session: LoadSession, report: LoadReport, finish: Finish, *, seconds: float
) -> None:
    """Write down what was published, and what clients have of it.

    Args:
        session: The load test.
        report: Where to.
        finish: What clients had in the end.
        seconds: How long it was published.
    """
    figures = session.figures
    counts = figures.counted("counts")
    delays = " / ".join(in_ms(figures.delays.percentile(percent)) for percent in _PERCENTS)
    numbered = sum(session.published.values())
    failed = f", {figures.failed:,} failed" if figures.failed else ""
    rate = figures.deliveries / seconds if seconds else 0.0
    report.facts += [
        ("Published", f"{numbered:,} in {seconds:.1f} s, {numbered / seconds:,.0f}/s{failed}"),
        ("Delivered", f"{figures.deliveries:,}, {rate:,.0f}/s"),
        ("Delay", f"p50 / p95 / p99 {delays} ms, at most {in_ms(figures.delays.largest)} ms"),
        ("Complete", f"{finish.complete:,} of {finish.checked:,} clients"),
        ("Lost", f"{finish.missing:,}"),
        ("Doubled, wrong", f"{counts['doubled']:,}, {counts['wrong']:,}"),
    ]
    if counts["recovered"]:
        report.facts.append(("From the history", f"{counts['recovered']:,}"))
    if counts["disordered"]:
        report.facts.append(("Out of order", f"{counts['disordered']:,}"))
    report.figures |= {
        "published": numbered,
        "failed": figures.failed,
        "deliveries": figures.deliveries,
        "deliveries_a_second": rate,
        "lost": finish.missing,
        "complete": finish.complete,
        "checked": finish.checked,
        **{f"p{percent}": figures.delays.percentile(percent) for percent in _PERCENTS},
        **counts,
    }
    for why, count in session.failures.items():
        report.findings.append(f"{count:,} publications failed: {why}")
    if finish.places:
        report.tables.append(
            ReportTable(
                title=_title("What is missing", finish.places),
                head=(
                    *("client", "node", "room", "shard", "from number", "to number"),
                    *("published from", "published to"),
                ),
                rows=[
                    (
                        str(place.client),
                        place.node,
                        session.rooms[place.room],
                        str(session.shards[place.room]),
                        str(place.first),
                        str(place.end - 1),
                        _time_of_day(place.began),
                        _time_of_day(place.ended),
                    )
                    for place in finish.places[:_SHOWN]
                ],
            )
        )


def tell_session(session: LoadSession, report: LoadReport) -> None:
    """Write down what all load tests of a deployment do."""
    plot_samples(session, report)
    tell_connections(session, report)
    tell_places(session, report)
    tell_faults(session, report)
    tell_processes(session, report)


def tell_connections(session: LoadSession, report: LoadReport) -> None:
    """Write down what became of connections."""
    outcomes, losses = session.figures.counted("outcomes"), session.figures.counted("losses")
    rows = [(text, f"{count:,}") for text, count in outcomes.most_common()]
    rows += [(f"later: {text}", f"{count:,}") for text, count in losses.most_common()]
    if rows:
        report.tables.append(
            ReportTable(title="Connections", head=("what became of them", "clients"), rows=rows)
        )
    report.figures |= {"outcomes": dict(outcomes), "losses": dict(losses)}


def tell_places(session: LoadSession, report: LoadReport) -> None:
    """Write down what came by node and by shard."""
    figures = session.figures
    head = ("deliveries", "p50 ms", "p95 ms", "p99 ms", "missed on the way")
    nodes = [
        (name, f"{sum(place.connected.values()):,}", *_row(place.delays, place.missed))
        for name, place in sorted(figures.nodes.items())
    ]
    if nodes:
        report.tables.append(
            ReportTable(title="By node", head=("node", "clients", *head), rows=nodes[:_SHOWN])
        )
    shards = [
        (str(shard), *_row(place.delays, place.missed))
        for shard, place in sorted(figures.shards.items())
        if shard >= 0
    ]
    if shards and figures.deliveries:
        report.tables.append(
            ReportTable(title="By shard", head=("shard", *head), rows=shards[:_SHOWN])
        )


def tell_faults(session: LoadSession, report: LoadReport) -> None:
    """Write down each wrong delivery, with the way that it came."""
    faults = session.figures.faults
    if not faults:
        return
    rows = []
    # What publishes runs on this machine, so its monotonic clock is the one here.
    since_epoch = time.time_ns() - time.monotonic_ns()
    for fault in list(faults)[:_SHOWN]:
        known = fault["room"] < len(session.rooms)
        rows.append(
            (
                fault["kind"],
                session.rooms[fault["room"]] if known else "?",
                str(session.shards[fault["room"]]) if known else "?",
                str(fault["number"]),
                fault["node"],
                str(fault["client"]),
                _time_of_day((fault["sent"] + since_epoch) / 1e9),
                _time_of_day(fault["at"]),
                fault["text"],
            )
        )
    head = (
        *("what", "room", "shard", "number", "node", "client", "published at", "at"),
        "it began with",
    )
    title = _title("What came and should not, or too late", faults)
    report.tables.append(ReportTable(title=title, head=head, rows=rows))


def _time_of_day(at: float) -> str:
    """Return a time since the epoch as clocks here show it, with its milliseconds."""
    seconds, milliseconds = divmod(int(at * 1e3), 1000)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{milliseconds:03}"


def _title(text: str, places: Sized) -> str:
    return f"{text}: the first {_SHOWN}" if len(places) > _SHOWN else text


def tell_processes(session: LoadSession, report: LoadReport) -> None:
    """Write down what the load test itself used, and whether it was what was measured."""
    figures = session.figures
    report.tables.append(
        ReportTable(
            title="Processes of the load test",
            head=("process", "CPU s", "at most of one CPU"),
            rows=[
                (each.name, f"{each.cpu:.2f}", f"{each.busiest:.0%}")
                for each in sorted(figures.processes.values(), key=lambda each: each.name)
            ],
        )
    )
    for each in figures.limits():
        report.findings.append(
            f"{each.name} used {each.busiest:.0%} of a CPU: delays and rates may be those of the "
            "load test. Take more --processes, or other machines by --agents."
        )
    if session.clock_doubt:
        report.findings.append(
            "Delays of clients on other machines may be wrong by "
            f"{session.clock_doubt * 1e3:.2f} ms, as their clocks were compared over the network."
        )
    if session.latest > 0.1:
        report.findings.append(
            f"The publisher was {session.latest:.1f} s late: it could not keep the pace."
        )
    report.figures["processes"] = {
        each.name: {"cpu_seconds": each.cpu, "busiest": each.busiest}
        for each in figures.processes.values()
    }


def plot_samples(session: LoadSession, report: LoadReport) -> None:
    """Draw how it went."""
    samples = session.figures.samples
    if len(samples) < 2:
        return

    def line(name: str, factor: float = 1.0) -> list[tuple[float, float | None]]:
        found = []
        for sample in samples:
            value = getattr(sample, name)
            found.append((sample.at, None if value is None else value * factor))
        return found

    delays = {name: line(name, 1e3) for name in ("p50", "p95", "p99")}
    plots = [("Clients that are subscribed", {"clients": line("connected")})]
    if session.figures.deliveries:
        plots += [
            ("Deliveries a second", {"deliveries": line("deliveries")}),
            ("Delay, ms", delays),
        ]
    if any(sample.missed for sample in samples):
        plots.append(("Missed so far", {"missed": line("missed")}))
    plots.append(("The busiest process, % of a CPU", {"CPU": line("busiest", 100)}))
    report.plots += [
        ReportPlot(title=title, across="seconds", lines=lines) for title, lines in plots
    ]


def _row(delays: DelayHistogram, missed: int) -> tuple[str, ...]:
    return (
        f"{delays.total:,}",
        *(in_ms(delays.percentile(percent)) for percent in _PERCENTS),
        f"{missed:,}",
    )
