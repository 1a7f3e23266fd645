"""How the tests read Compose files, by the specification's own examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.compose_file import MissingVariable, interpolate, load, merge


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$A ${A}", "1 1"),
        ("$$A $${A}", "$A ${A}"),
        ("${A:-2} ${E:-2} ${U:-2}", "1 2 2"),
        ("${A-2} ${E-2} ${U-2}", "1  2"),
        ("${A:+2}|${E:+2}|${U+2}|${E+2}", "2|||2"),
        ("${E?words}${U}", ""),
    ],
)
def test_variables(text: str, result: str) -> None:
    """A is 1, E is empty, U is not set."""
    assert interpolate(text, {"A": "1", "E": ""}) == result


@pytest.mark.parametrize("text", ["${E:?must be there}", "${U?must be there}"])
def test_variable_that_must_be_set(text: str) -> None:
    """The message is the file's."""
    with pytest.raises(MissingVariable, match="must be there"):
        interpolate(text, {"E": ""})


def test_merge() -> None:
    """Mappings and lists grow, one volume a place; values and commands are replaced."""
    base = {"a": {"x": 1}, "ports": ["1"], "command": ["a", "b"], "volumes": ["v:/data", "w:/w"]}
    other = {"a": {"y": 2}, "ports": ["2"], "command": ["c"], "volumes": ["u:/data"]}
    assert merge(base, other) == {
        "a": {"x": 1, "y": 2},
        "ports": ["1", "2"],
        "command": ["c"],
        "volumes": ["u:/data", "w:/w"],
    }


def test_lists_that_are_joined(tmp_path: Path) -> None:
    """Options of security stand twice, which the schema refuses; `!override` begins anew."""
    one, two = tmp_path / "1.yml", tmp_path / "2.yml"
    one.write_text("services: {a: {security_opt: [x], cap_drop: [y]}}")
    two.write_text("services: {a: {security_opt: [x], cap_drop: [y]}}")
    joined = load(one, two, environ={})["services"]["a"]
    assert joined == {"security_opt": ["x", "x"], "cap_drop": ["y"]}
    two.write_text("services: {a: {security_opt: !override [x]}}")
    assert load(two, environ={})["services"]["a"]["security_opt"] == ["x"]


def test_extends(tmp_path: Path) -> None:
    """A service of another file, whose paths are that file's, and which extends a third."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.yml").write_text(
        "services:\n"
        "  base: {image: 'i:${TAG:-1}', build: {context: ..}, environment: {A: '1'}}\n"
        "  more: {extends: {service: base}, volumes: ['./c.conf:/c.conf:ro']}\n"
    )
    (tmp_path / "b.yml").write_text(
        "services:\n  web: {extends: {file: parts/a.yml, service: more}, environment: {B: '2'}}\n"
    )
    assert load(tmp_path / "b.yml", environ={})["services"]["web"] == {
        "image": "i:1",
        "build": {"context": str(tmp_path)},
        "environment": {"A": "1", "B": "2"},
        "volumes": [f"{tmp_path}/parts/c.conf:/c.conf:ro"],
    }
