"""Which rooms a record goes to: the rules, and calls of a project's own route."""

from realtime.kafka.routing.header_rules import route

__all__ = ["route"]
