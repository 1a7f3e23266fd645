"""Patterns of rooms as a key's form takes them: one a line."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MOST = 100  # patterns of a key

_is_pattern = re.compile(r"[a-zA-Z0-9._*?\[\]!-]{1,99}").fullmatch


def patterns_of(text: str) -> list[str]:
    """Return the patterns of a text."""
    return text.split()


def validate_patterns(text: str) -> None:
    """Raise ValidationError if one of the patterns can match no room, or there are too many."""
    found = patterns_of(text)
    if len(found) > MOST:
        raise ValidationError(_("A key has at most %(most)s patterns.") % {"most": MOST})
    for pattern in found:
        if not _is_pattern(pattern):
            raise ValidationError(
                _(
                    "“%(pattern)s” matches no room. A pattern has the characters of a room's name, "
                    "and * ? [ ]."
                )
                % {"pattern": pattern}
            )
