"""One cookie of a handshake: what Django reads, in time that does not grow with its square."""

from __future__ import annotations

import time

import pytest
from django.http.cookie import parse_cookie

from realtime.access.cookies import cookie_of


@pytest.mark.parametrize(
    "header",
    [
        *(
            "a=1",
            "b=2; a=1; c",
            "a=1; a",
            "a=1; a=2",
            "xa=1",
            "a",
            "a=",
            "=1",
            "; ;a = 1 ;",
            "a=b=c",
            "",
        ),
        *('a="x y"', 'a="', 'a=""', r'a="\"\054\\x"', r'a="\9\377"', 'a="\\"', "a=\xe4"),
    ],
)
def test_it_is_the_one_that_django_reads(header: str) -> None:
    """Quoted or not, the last of several."""
    headers = [(b"host", b"a=9"), (b"cookie", header.encode("latin-1"))]
    assert cookie_of(headers, "a") == (parse_cookie(header).get("a") or None)


def test_several_headers() -> None:
    """HTTP/2 has one for each cookie."""
    headers = [(b"cookie", b"b=1"), (b"cookie", b"a="), (b"cookie", b"a=2"), (b"cookie", b"a=3")]
    assert cookie_of(headers, "a") == "2"
    assert cookie_of(headers, "c") is None


def test_time_grows_with_the_length() -> None:
    """Python 3.11.2 takes a minute for this."""
    value = b'\\"' * 120_000
    began = time.perf_counter()
    assert cookie_of([(b"cookie", b'a="' + value + b'"')], "a") == '"' * 120_000
    assert time.perf_counter() - began < 10
