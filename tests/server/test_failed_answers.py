"""Responses that an application does not end: the client is told, and soon."""

from __future__ import annotations

import socket
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.server.client import read_to_the_reset
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess
from tests.waiting import wait_until

HOW = ["raises", "is-cancelled", "returns"]


def ask(connection: socket.socket, path: str) -> None:
    """Send a request over a connection that is to be kept."""
    connection.sendall(b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % path.encode())


@pytest.mark.parametrize("begins", ["", "?begun"])
@pytest.mark.parametrize("how", HOW)
def test_response_of_which_nothing_was_sent_is_an_error(
    server: ServerProcess, how: str, begins: str
) -> None:
    """Though the application has given its head. The connection serves the next request.

    Daphne notes in `_response_started` that a head was given: if it has moved, this fails.
    """
    with server.connect() as connection:
        for _ in range(2):
            ask(connection, f"/fail/{how}{begins}")
            response = HTTPResponse(connection)
            response.begin()
            assert response.status == 500
            assert response.reason == "Internal Server Error"
            assert response.headers["x-why"] is None
            assert b"Exception inside application." in response.read()


@pytest.mark.parametrize("how", HOW)
def test_response_of_which_a_part_was_sent_is_cut_off(server: ServerProcess, how: str) -> None:
    """It must not look complete, and nobody waits for its rest."""
    with server.connect() as connection:
        ask(connection, f"/fail/{how}?sent")
        assert b"\r\n0\r\n" not in read_to_the_reset(connection)


def test_clients_of_failed_responses_do_not_end_the_check_of_others(server: ServerProcess) -> None:
    """Daphne looks at applications once a second: one of them, which raised, is logged then."""
    with server.connect() as sent, server.connect() as begun:
        ask(sent, "/fail/raises?sent-first")
        ask(begun, "/fail/raises?second")
        wait_until(lambda: "Exception inside application: made up second" in server.log)
    assert "Exception inside application: made up sent-first" in server.log
    assert "Applications could not be checked" not in server.log


def test_error_says_that_the_connection_ends(server: ServerProcess) -> None:
    """Though the head that said so, too, was taken back."""
    with server.connect() as connection:
        head = "GET /fail/raises?begun HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        response = HTTPResponse(connection)
        response.begin()
        assert response.status == 500
        assert response.headers["connection"] == "close"


def test_application_that_cuts_its_client_off_has_not_failed(server: ServerProcess) -> None:
    """It may return right behind its `pace.abort()`."""
    logged = server.log.count("returned without ending its response")
    with server.connect() as connection:
        ask(connection, "/cut")
        read_to_the_reset(connection)
    server.state()
    assert server.log.count("returned without ending its response") == logged


def test_return_without_an_end_is_logged(tmp_path: Path) -> None:
    """Daphne logs what an application raises, and nothing if it does not.

    The line says where, without the query, which may hold a token; once a minute, however often.
    """
    with ServerProcess(tmp_path, *LOOPBACK) as server:
        for _ in range(2):
            with server.connect() as connection:
                ask(connection, "/fail/returns?token")
                assert connection.recv(65536).startswith(b"HTTP/1.1 500 ")
        [line] = [line for line in server.log.splitlines() if "without ending its resp" in line]
    assert line.endswith("method='GET' path='/fail/returns'>")
