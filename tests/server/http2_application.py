"""The application of the tests, where Twisted has found what it needs for HTTP/2."""

from __future__ import annotations

from twisted.web import http

from tests.server.application import application

__all__ = ["application"]

http.H2_ENABLED = True
