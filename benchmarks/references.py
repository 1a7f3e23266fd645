"""Names of classes that only a child process imports."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def resolve(reference: str) -> Any:
    """Return what `package.module:name` refers to."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
