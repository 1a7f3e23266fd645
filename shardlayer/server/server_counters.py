"""What the server counts, for metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ServerCounters:
    """Figures of one process since its start.

    Attributes:
        accepted: WebSockets that the application accepted.
        compressed: Of these, those whose client takes compressed messages.
        rejected: Handshakes answered with anything but 101: bad ones and denied ones.
        slow_closed: Clients closed with 4008 because too many bytes waited for them.
        fast_closed: Clients closed with 4029 because they sent too many frames.
        messages_too_large: Clients closed with 1009 because of a message or frame.
        pings: Pings that were sent to clients that had been silent.
        ping_timeouts: Clients closed because they did not answer a ping in time.
        message_timeouts: Clients closed with 1008 because a message took too long to arrive.
        lifetimes_ended: WebSockets closed with 1000 because they had been open for so long.
        applications_killed: Applications cancelled, as they did not end after their client had.
        bodies_too_large: HTTP requests refused with 413 for the size of their body.
        requests_timed_out: HTTP requests refused with 408 because they took too long to arrive.
        answers_timed_out: HTTP requests whose application did not answer in time: 503, or cut off.
        heads_too_large: Requests refused with 431 for the size of their head.
        heads_timed_out: Connections ended because a request's head took too long to arrive.
        idle_closed: HTTP connections closed because no other request came in time.
        idle_displaced: Connections closed because too many waited for a request, and this longest.
        address_refused: Refused with 429 because their address had too many connections.
        handshakes_refused: Handshakes refused with 429 because their address had sent too many.
        adopted: Connections that a balancer handed over.
        given_back: Connections that went back to the balancer, since too many files were open.
        full: Handshakes and requests answered with 503 because the server holds all it may.
        drained: WebSockets that were sent away, since the server stops.
        refused_stopping: Handshakes answered with 503, since the server stops.
        loop_blocked: How often something blocked the event loop for `--blocking-threshold`.
    """

    accepted: int = 0
    compressed: int = 0
    rejected: int = 0
    slow_closed: int = 0
    fast_closed: int = 0
    messages_too_large: int = 0
    pings: int = 0
    ping_timeouts: int = 0
    message_timeouts: int = 0
    lifetimes_ended: int = 0
    applications_killed: int = 0
    bodies_too_large: int = 0
    requests_timed_out: int = 0
    answers_timed_out: int = 0
    heads_too_large: int = 0
    heads_timed_out: int = 0
    idle_closed: int = 0
    idle_displaced: int = 0
    address_refused: int = 0
    handshakes_refused: int = 0
    adopted: int = 0
    given_back: int = 0
    full: int = 0
    drained: int = 0
    refused_stopping: int = 0
    loop_blocked: int = 0


counters = ServerCounters()
"""The process's figures. One object, as the reactor and so the server are one per process."""
