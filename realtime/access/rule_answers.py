"""What a rule's answer means.

Most of what a function returns by mistake is true: a coroutine, a method that was not called, a
refusal that was returned and not raised. None of it may let anybody in.
"""

from __future__ import annotations

import re
from typing import Final

from django.db.models import Model
from django.utils.functional import Promise
from django.utils.tree import Node

_ROWS: Final = (Model, re.Match)  # always true, where None stands for nothing found
_TEXTS: Final = (str, bytes, bytearray, Promise)  # "nobody" is true, too
_NO_ANSWERS: Final = (*_TEXTS, type, Node)  # a class; a condition (`Q`) that nobody has asked


def is_yes(answer: object) -> bool:
    """Return whether an answer lets in; what is false never does.

    What is true does if its kind can say no, as numbers, collections and QuerySets can, or if it is
    a row of the database or a match. Text does not.

    Raises:
        TypeError: It is true and yet no answer.
        Exception: What a QuerySet raises.
    """
    if answer is True or answer is False:
        return answer
    if not answer:
        return False
    kind = answer.__class__  # not its type: a lazy object is what it stands for
    if issubclass(kind, _ROWS) or (not issubclass(kind, _NO_ANSWERS) and _may_be_false(kind)):
        return True
    raise TypeError(f"{kind.__qualname__} is no answer of a rule: return True or False.")


def _may_be_false(kind: type) -> bool:
    """Return whether objects of a class say themselves whether they are true."""
    return any("__bool__" in vars(each) or "__len__" in vars(each) for each in kind.__mro__)
