"""Counts the TLS contexts that read the certificates of the system."""

from __future__ import annotations

import ssl
import threading

import pytest


def contexts_made(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """Return a list to which each context made from here on adds the thread that makes it."""
    threads: list[threading.Thread] = []
    make = ssl.create_default_context

    def note(*, cafile: str | None = None) -> ssl.SSLContext:
        threads.append(threading.current_thread())
        return make(cafile=cafile)

    monkeypatch.setattr(ssl, "create_default_context", note)
    return threads
