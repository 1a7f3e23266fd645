"""How settings are read from the environment."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.environment import flag, listed, named, whole


@pytest.mark.parametrize("value", ["1", "true", "YES", " on "])
def test_on(value: str) -> None:
    """The usual words for on."""
    assert flag({"X": value}, "X", default=False) is True


@pytest.mark.parametrize("value", ["0", "False", "no", "off"])
def test_off(value: str) -> None:
    """The usual words for off."""
    assert flag({"X": value}, "X", default=True) is False


@pytest.mark.parametrize("environ", [{}, {"X": ""}, {"X": " "}])
def test_default(environ: dict[str, str]) -> None:
    """Not set and empty are the default."""
    assert flag(environ, "X", default=True) is True
    assert flag(environ, "X", default=False) is False


def test_typo_is_an_error() -> None:
    """A word that is neither is not taken for one of them."""
    with pytest.raises(ImproperlyConfigured, match="X='ture'"):
        flag({"X": "ture"}, "X", default=True)


def test_whole() -> None:
    """A whole number above 0; anything else is an error."""
    assert whole({"X": " 12 "}, "X", default=5) == 12
    assert whole({"X": ""}, "X", default=5) == 5
    for value in ("0", "-1", "1.5", "x"):
        with pytest.raises(ImproperlyConfigured, match="X="):
            whole({"X": value}, "X", default=5)


def test_listed() -> None:
    """Parts are stripped, empty ones left out; nothing at all is the default."""
    assert listed({"X": "a, b,,"}, "X", default=["z"]) == ["a", "b"]
    assert listed({"X": " , "}, "X", default=["z"]) == ["z"]
    assert listed({}, "X", default=[]) == []


def test_named() -> None:
    """Names and values keep their order; a part without = is an error."""
    assert list(named({"X": "b=2, a=x=y"}, "X").items()) == [("b", "2"), ("a", "x=y")]
    assert named({}, "X") == {}
    with pytest.raises(ImproperlyConfigured, match="'c'"):
        named({"X": "a=1,c"}, "X")
