"""The Autobahn test suite, ported: its test ids are the original's case numbers.

https://github.com/crossbario/autobahn-testsuite runs on Python 2 only. Left out are 12 and 13,
which are about compression; 7.1.5 and 6.4.3 to 6.4.4 say where they take more than the original.
"""

from __future__ import annotations

import threading

import pytest

from tests.server.autobahn import closing, framing, limits, utf8
from tests.server.autobahn.case import Case
from tests.server.client import CLOSE, RawClient
from tests.server.process import ServerProcess


def play(server: ServerProcess, case: Case) -> None:
    """Send what the case sends, and judge the answer."""
    with RawClient(server.connect()) as client:
        if case.fails:
            client.send(case.sends, case.chop)
            *answers, close = client.read_all()
            assert close.opcode == CLOSE
            assert close.code in case.fails
            # The connection may fail before the application could answer, never wrongly.
            assert tuple(answers) == case.expects[: len(answers)]
            return
        # Read while sending: neither side has room for all of a large case.
        sender = threading.Thread(target=client.send, args=(case.sends, case.chop))
        sender.start()
        messages = [client.read() for _ in case.expects]
        sender.join()
        assert tuple(messages) == case.expects
        (close,) = client.finish()
        assert (close.opcode, close.code) == (CLOSE, 1000)


@pytest.mark.parametrize(
    "case", [*framing.CASES, *utf8.CASES, *closing.CASES], ids=lambda case: case.number
)
def test_case(server: ServerProcess, case: Case) -> None:
    """The server answers as the case of that number asks."""
    play(server, case)


@pytest.mark.parametrize("number", limits.CASES)
def test_limits_case(unlimited_server: ServerProcess, number: str) -> None:
    """The server echoes large, fragmented, chopped and many messages."""
    play(unlimited_server, limits.CASES[number]())
