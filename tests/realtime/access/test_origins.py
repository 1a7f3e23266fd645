"""Whose pages may connect, whatever they send."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from realtime.access.origins import is_allowed, origin_of
from realtime.access.site_origins import SiteOrigin, site_origin

TRUSTED = [
    "https://shop.example",
    "https://*.cdn.example",
    "http://localhost:5173",
    "capacitor://localhost",
    "https://[::1]:8443",
]


@pytest.fixture(autouse=True)
def sites(settings: Settings) -> None:
    """A site of its own, and others that are trusted."""
    settings.ALLOWED_HOSTS = ["own.example", ".many.example"]
    settings.DEBUG = False
    settings.REALTIME = {"ORIGINS": TRUSTED}


@pytest.mark.parametrize(
    "origin",
    [
        "https://own.example",
        "http://own.example:8000",
        "HTTPS://OWN.EXAMPLE",
        "https://many.example",
        "https://a.b.many.example",
        "https://shop.example",
        "https://shop.example:443",
        "https://SHOP.example",
        "https://a.cdn.example",
        "https://a.b.cdn.example",
        "http://localhost:5173",
        "capacitor://localhost",
        "https://[::1]:8443",
    ],
)
def test_trusted_pages(origin: str) -> None:
    """The hosts of ALLOWED_HOSTS with any scheme and port; the origins of ORIGINS as they are."""
    assert is_allowed(origin.encode())


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "https://",
        "https://*",
        "https://*.cdn.example",
        "https://*.many.example",
        "own.example",
        "//own.example",
        "https:own.example",
        "https:/own.example",
        "https:///own.example",
        "https://evil.example",
        "https://own.example.evil.example",
        "https://evilown.example",
        "https://own.example@evil.example",
        "https://evil.example@own.example",
        "https://evil.example\\@own.example",
        "https://evil.example#@own.example",
        "https://evil.example?@own.example",
        "https://evil.example/own.example",
        "https://own.example/",
        "https://own.example/path",
        "https://own.example?x",
        "https://own.example#x",
        "https://own.example:",
        "https://own.example:0",
        "https://own.example:65536",
        "https://own.example:99999999",
        "https://own.example:80a",
        "https://own.example.",
        "https://own..example",
        "https://own\t.example",
        "https://own.exa\nmple",
        " https://own.example",
        "https://own.example ",
        "https://own.example\r\n",
        "https://own.example, https://evil.example",
        "https://evil.example https://own.example",
        "https://own.example%00",
        "https://own%2eexample",
        "https://\xadown.example",
        "javascript://own.example\n",
        "https://[own.example]",
        "https://[::1",
        "https://[::1]",
        "http://shop.example",
        "https://shop.example:8443",
        "wss://shop.example",
        "https://sub.shop.example",
        "https://cdn.example",
        "https://.cdn.example",
        "https://evilcdn.example",
        "http://a.cdn.example",
        "http://localhost",
        "capacitor://localhost:80",
        "https://" + "a" * 10_000 + ".cdn.example/",
    ],
)
def test_other_pages(origin: str) -> None:
    """No other site, and nothing that is no origin, however a lenient reader would take it."""
    assert not is_allowed(origin.encode("latin-1"))


def test_programs_send_none() -> None:
    """A handshake without an origin is refused, and one with several."""
    assert not is_allowed(origin_of([(b"host", b"own.example")]))
    good = (b"origin", b"https://own.example")
    assert is_allowed(origin_of([(b"host", b"x"), good]))
    assert not is_allowed(origin_of([good, good]))
    assert not is_allowed(origin_of([good, (b"origin", b"https://evil.example")]))


def test_without_origins_there_are_the_hosts(settings: Settings) -> None:
    """The setting counts at once, and adds to ALLOWED_HOSTS."""
    settings.REALTIME = {}
    assert is_allowed(b"https://own.example")
    assert not is_allowed(b"https://shop.example")


@given(st.binary(max_size=80) | st.text(string.printable, max_size=80).map(str.encode))
def test_noise_is_refused(origin: bytes) -> None:
    """Whatever bytes come, there is an answer, and it is no."""
    assert not is_allowed(origin)


@given(st.text(string.ascii_letters + string.digits + ".:/@\\#?*[]-_ \t", max_size=40))
def test_only_the_names_below_match_a_pattern(text: str) -> None:
    """What a pattern lets in ends in its name, and begins with its scheme."""
    site = site_origin(f"https://{text}.cdn.example")
    pattern = SiteOrigin("https", "*.cdn.example", 443)
    if site is not None and site.is_of(pattern):
        assert set(text) <= set(string.ascii_letters + string.digits + ".-_*")
