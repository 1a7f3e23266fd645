"""Whether each Redis server answers, can serve the layer, and keeps what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from django.conf import settings

from realtime.checkup.finding import CheckRequest, Finding, fault, ok, warning
from realtime.checkup.our_layers import our_layers, our_servers
from realtime.management.figures_text import milliseconds, size
from shardlayer import Host, ServerSurvey, survey

CLOCK_TOLERANCE = 2.0  # seconds; tokens and times of publications are compared over machines
SLOW = 0.02  # seconds for a PING
NEARLY_FULL = 0.8  # of its memory or connections

_LOGIN = ("auth", "wrongpass", "noperm", "username", "password")


def check_redis(asked: CheckRequest) -> Iterator[Finding]:
    """Yield what there is to say of each server; a layer in memory has none."""
    servers = our_servers()
    if not servers and not any(our_layers()):
        return  # what check_layer says
    if not servers:
        if settings.DEBUG:
            yield ok("The layer is in memory, which is enough for one process: no Redis is asked.")
        else:
            yield warning(
                "The layer is in memory: processes do not hear each other, and all is gone when "
                "one ends.",
                "Put a Redis into 'hosts' of CHANNEL_LAYERS.",
            )
        return
    for (_, is_cluster), found in zip(
        servers, asyncio.run(_survey_all([host for host, _ in servers], asked)), strict=True
    ):
        yield from judged(found, is_cluster=is_cluster)


async def _survey_all(hosts: list[Host], asked: CheckRequest) -> list[ServerSurvey]:
    return await asyncio.gather(*(survey(host, within=asked.timeout) for host in hosts))


def judged(found: ServerSurvey, *, is_cluster: bool) -> Iterator[Finding]:
    """Yield what is to be said of one server."""
    report = found.report
    where = report.address
    if report.error:
        yield _unreachable(where, report.error)
        return
    hurts = [*_unfit(found, is_cluster=is_cluster), *_forgetful(found), *_tight(found)]
    yield from hurts
    if not hurts:
        keeps = "append-only file" if found.is_append_only else _snapshots(found)
        most = size(report.maxmemory) if report.maxmemory else "any amount"
        yield ok(
            f"{where}: {report.software} {report.version} answers in "
            f"{milliseconds(found.seconds)}; {keeps}; {size(found.used_memory)} of {most}, "
            f"{report.maxmemory_policy or 'policy unknown'}; clocks agree; scripts run."
        )


def _unreachable(where: str, error: str) -> Finding:
    if any(word in error.lower() for word in _LOGIN):
        return fault(
            f"{where} lets nobody in with this login: {error}",
            "Correct user and password in 'hosts' of CHANNEL_LAYERS, or the ACL there.",
        )
    return fault(
        f"{where} does not answer: {error}",
        "Start it, or correct 'hosts' of CHANNEL_LAYERS. Until then, processes wait for it.",
    )


def _unfit(found: ServerSurvey, *, is_cluster: bool) -> Iterator[Finding]:
    report = found.report
    where = report.address
    if report.is_too_old:
        yield fault(
            f"{where} is {report.software} {report.version}, which is too old.",
            "Use Redis 7.0 or Valkey 7.2, or later.",
        )
    if report.is_cluster != is_cluster:
        is_one = "a node" if report.is_cluster else "not a node"
        yield fault(
            f"{where} is {is_one} of a Redis Cluster, but CHANNEL_LAYERS has 'cluster': "
            f"{is_cluster}.",
            f"Set 'cluster': {report.is_cluster} in CONFIG.",
        )
    if found.cluster_state not in ("", "ok"):
        yield fault(
            f"{where}: the state of its Cluster is {found.cluster_state!r}: some slots have no "
            "server.",
            "Run redis-cli --cluster check, and start the nodes that are missing.",
        )
    if found.is_replica and not is_cluster:
        yield fault(
            f"{where} is a replica, which takes no writes.",
            "Name the primary in 'hosts', or its Sentinels with 'master_name'.",
        )
    if found.script_error:
        yield fault(
            f"{where} does not run scripts: {found.script_error}",
            "Allow EVAL, EVALSHA and SCRIPT LOAD in the ACL of the user in 'hosts'.",
        )


def _forgetful(found: ServerSurvey) -> Iterator[Finding]:
    report = found.report
    where = report.address
    if report.evicts:
        yield warning(
            f"{where} has maxmemory-policy {report.maxmemory_policy}: when its memory is full it "
            "deletes rooms, and clients lose messages without notice.",
            "Set 'maxmemory-policy noeviction' in its configuration.",
        )
    if found.disk_error:
        yield fault(
            f"{where} failed at {found.disk_error} the last time: what is only in its memory is "
            "lost when it restarts.",
            "Look at its log, and at the space on its disk.",
        )
    if found.keeps_nothing:
        yield warning(
            f"{where} keeps nothing on its disk: when it restarts, histories and queues are gone.",
            "Set 'appendonly yes' in its configuration, unless you want it so.",
        )


def _tight(found: ServerSurvey) -> Iterator[Finding]:
    report = found.report
    where = report.address
    if report.is_unbounded:
        yield warning(
            f"{where} has maxmemory 0: what is published may take all memory of its machine.",
            "Set 'maxmemory' in its configuration to what the machine can spare.",
        )
    if report.maxmemory and found.used_memory > NEARLY_FULL * report.maxmemory:
        grade = fault if found.used_memory >= report.maxmemory else warning
        yield grade(
            f"{where} uses {size(found.used_memory)} of {size(report.maxmemory)}; a full server "
            "refuses publications.",
            "Raise 'maxmemory', add a server, or give rooms shorter histories (ROOMS, 'history').",
        )
    if found.max_clients and found.clients > NEARLY_FULL * found.max_clients:
        yield warning(
            f"{where} has {found.clients:,} of {found.max_clients:,} connections.",
            "Raise 'maxclients' in its configuration, and its limit on open files.",
        )
    if abs(found.clock_ahead) > CLOCK_TOLERANCE:
        way = "ahead of" if found.clock_ahead > 0 else "behind"
        yield warning(
            f"{where}: its clock is {abs(found.clock_ahead):.1f} s {way} that of this machine.",
            "Let both follow an NTP server: ages and expiry times are wrong by as much.",
        )
    if found.seconds > SLOW:
        yield warning(
            f"{where} takes {milliseconds(found.seconds)} to answer, so each publication takes as "
            "long at least.",
            "Move it nearer; see redis-cli --latency and SLOWLOG GET.",
        )


def _snapshots(found: ServerSurvey) -> str:
    return "snapshots" if found.saves else "it does not say whether it writes to its disk"
