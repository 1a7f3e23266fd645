"""Reads Compose files as Compose does: variables filled in, `extends` resolved, files merged.

What is here follows the specification (github.com/compose-spec/compose-spec, 12-interpolation.md,
13-merge.md, and `extends` in 05-services.md), as far as our files make use of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

VARIABLE = re.compile(
    r"\$(?:\$|(?P<bare>\w+)|\{(?P<name>\w+)(?:(?P<sign>:?[-?+])(?P<rest>[^}]*))?\})"
)
REPLACED = {"command", "entrypoint", "test"}  # lists that are taken as a whole
ONCE = {"cap_drop", "tmpfs", "ports", "profiles"}  # lists in which nothing stands twice

SECRETS = {  # what bin/secrets makes, for tests
    "DJANGO_SECRET_KEY": "d" * 40,
    "POSTGRES_PASSWORD": "p" * 40,
    "VALKEY_PASSWORD": "v" * 40,
    "GRAFANA_PASSWORD": "g" * 40,
    "HEALTH_KEY": "h" * 40,
}

Yaml = dict[str, Any]


class Override(list[Any]):
    """A list that is tagged with `!override`: it takes the place of the one before it."""


class _Loader(yaml.SafeLoader):
    pass


def _override(loader: _Loader, node: yaml.SequenceNode) -> Override:
    return Override(loader.construct_sequence(node, deep=True))


_Loader.add_constructor("!override", _override)


class MissingVariable(Exception):
    """A file asks for a variable that is not set."""


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Fill in `$NAME`, `${NAME}` and its forms with `-`, `?` and `+`; `$$` is a dollar.

    Raises:
        MissingVariable: `${NAME:?words}`, and NAME is not set or empty.
    """

    def value(found: re.Match[str]) -> str:
        name, sign, rest = found["name"] or found["bare"], found["sign"] or "", found["rest"] or ""
        if name is None:
            return "$"
        given = environ.get(name)
        is_there = bool(given) if sign.startswith(":") else given is not None
        if sign.endswith("+"):
            return rest if is_there else ""
        if is_there:
            return given or ""
        if sign.endswith("?"):
            raise MissingVariable(f"{name} {rest}")
        return rest

    return VARIABLE.sub(value, text)


def load(*files: Path, environ: Mapping[str, str]) -> Yaml:
    """Return what Compose makes of these files, of which each adds to those before it."""
    merged: Yaml = {}
    for file in files:
        document = _read(file, environ)
        document["services"] = {
            name: _extended(document, name, file, environ) for name in document["services"]
        }
        merged = merge(merged, document)
    return {key: value for key, value in merged.items() if not key.startswith("x-")}


def merge(base: Any, other: Any, key: str = "") -> Any:
    """Return one value of a file with what another file, or an extending service, says of it."""
    if isinstance(base, dict) and isinstance(other, dict):
        return base | {
            name: merge(base[name], value, name) if name in base else value
            for name, value in other.items()
        }
    if isinstance(other, Override) or key in REPLACED:
        return other
    if isinstance(base, list) and isinstance(other, list):
        if key == "volumes":  # one for each place in the container
            mounts = {mount.split(":")[1]: mount for mount in [*base, *other]}
            return list(mounts.values())
        return list(dict.fromkeys([*base, *other])) if key in ONCE else [*base, *other]
    return other


def _read(file: Path, environ: Mapping[str, str]) -> Yaml:
    def filled(value: Any) -> Any:
        if isinstance(value, str):
            return interpolate(value, environ)
        if isinstance(value, dict):
            return {key: filled(item) for key, item in value.items()}
        return type(value)(map(filled, value)) if isinstance(value, list) else value

    document: Yaml = filled(_parsed(file))
    for service in document["services"].values():
        if "context" in service.get("build", {}):
            service["build"]["context"] = str((file.parent / service["build"]["context"]).resolve())
        if "volumes" in service:
            service["volumes"] = [_absolute(mount, file.parent) for mount in service["volumes"]]
    return document


@cache
def _parsed(file: Path) -> Any:
    return yaml.load(file.read_text(), _Loader)


def _absolute(mount: str, folder: Path) -> str:
    source, separator, rest = mount.partition(":")
    return str((folder / source).resolve()) + separator + rest if source[0] == "." else mount


def _extended(document: Yaml, name: str, file: Path, environ: Mapping[str, str]) -> Yaml:
    own = dict(document["services"][name])
    extends = own.pop("extends", None)
    if extends is None:
        return own
    other = file.parent / extends["file"] if "file" in extends else file
    base = _extended(_read(other, environ), extends["service"], other, environ)
    extended: Yaml = merge(base, own)
    return extended
