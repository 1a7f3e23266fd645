"""What a client is told when a command fails."""

from __future__ import annotations

import logging

from realtime.access.revocations import RemovalsUnknown
from realtime.client_refused import ClientRefused
from realtime.clients.protocol.commands import ProtocolError
from shardlayer import ErrorLog, MessageTooLarge, ShardUnavailable

log_failure = ErrorLog(logging.getLogger(__name__))
"""Logs what fails because of a client: each kind once a minute, since clients send as they like."""


def as_protocol_error(error: Exception) -> ProtocolError:
    """Return what a client is told of `error`; what nobody expected is logged."""
    match error:
        case ProtocolError():
            return error
        case ShardUnavailable():  # its text names a server, which is no client's business
            return ProtocolError("unavailable", f"Shard {error.shard} does not answer; try again.")
        case RemovalsUnknown():
            return ProtocolError("unavailable", "It is not known yet who was put out; try again.")
        case ClientRefused():
            return ProtocolError("refused", error.message)
        case MessageTooLarge():
            return ProtocolError("too_large", str(error))
        case _:
            log_failure("A client's command failed.", exc_info=error)
            return ProtocolError("internal", "The server failed; the command was not done.")
