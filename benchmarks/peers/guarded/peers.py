"""How they are started."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.peers.ours.peer import OURS

_OFF = tuple(
    word
    for name in (
        *("address-connections", "address-handshake-rate", "client-buffer-limit"),
        *("client-frame-rate", "client-message-timeout", "http-head-size", "http-head-timeout"),
        *("http-idle-timeout", "http-idle-connections", "http-max-body-size"),
        "http-request-timeout",
    )
    for word in (f"--{name}", "0")
)
*_PROGRAM, _APPLICATION = OURS.command
# The clients of a hundred addresses: one has too few connections for so many.
_GREETING = replace(OURS.greeting, addresses=tuple(f"203.0.113.{n}" for n in range(100)))

GUARDED = replace(
    OURS,
    name="guarded",
    title="Shardlayer behind a proxy",
    what="Ours with --proxy-headers: its limits count by the addresses that are forwarded.",
    command=(*_PROGRAM, "--proxy-headers", _APPLICATION),
    greeting=_GREETING,
)
UNGUARDED = replace(
    GUARDED,
    name="unguarded",
    title="the same without limits",
    what="The same with each limit on clients set to 0.",
    command=(*_PROGRAM, "--proxy-headers", *_OFF, _APPLICATION),
    environment={
        **OURS.environment,
        "DJANGO_SETTINGS_MODULE": "benchmarks.peers.guarded.settings",
    },
)
