"""How the application's values become the JSON that clients get: as Django writes them."""

from __future__ import annotations

import orjson
from django.core.serializers.json import DjangoJSONEncoder

_as_django_does = DjangoJSONEncoder().default

# Dates and times go to Django's encoder. So a page reads the same text in a push and in the answer
# of a view that returns a JsonResponse.
_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME


def encode(data: object) -> bytes:
    """Return `data` as JSON text in UTF-8.

    Beside JSON's own types: dates, times, durations, Decimals, UUIDs and lazy translations as
    DjangoJSONEncoder writes them; enums and dataclasses as orjson does; numbers, dates and UUIDs
    as keys. `orjson.Fragment` splices in JSON that is there already.

    Raises:
        TypeError: Something in `data` has no JSON form; the message names its type.
    """
    try:
        return orjson.dumps(data, default=_default, option=_OPTIONS)
    except orjson.JSONEncodeError as error:
        if error.__cause__ is None and "key must be" in str(error):
            return _encode_with_any_keys(data)  # which is slower
        raise _no_json(error) from error


def _encode_with_any_keys(data: object) -> bytes:
    try:
        return orjson.dumps(data, default=_default, option=_OPTIONS | orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        raise _no_json(error) from error


def _default(value: object) -> object:
    try:
        return _as_django_does(value)
    except TypeError:
        hint = _hint(value)
        raise TypeError(f"{type(value).__name__} has no JSON form{hint}") from None


def _hint(value: object) -> str:
    from django.db.models import Model, QuerySet  # needs no app, but the settings

    if isinstance(value, Model):
        return (
            ". Choose what clients may see of it, as by "
            "django.forms.models.model_to_dict(object, fields=[…])"
        )
    if isinstance(value, QuerySet):
        return ". Choose what clients may see of it, as by list(queryset.values(…))"
    return ""


def _no_json(error: orjson.JSONEncodeError) -> TypeError:
    why = error.__cause__ if isinstance(error.__cause__, TypeError | ValueError) else error
    return TypeError(f"The data can't be written as JSON: {why}.")
