"""What users are called, for people who look at rooms."""

from __future__ import annotations

from collections.abc import Sequence

from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from realtime.access.project_calls import without_stop_iteration


async def user_names(keys: Sequence[str]) -> dict[str, str]:
    """Return what users are called, by their primary key as text, in one query."""
    names: dict[str, str] = await _asked(keys) if keys else {}
    return names


@database_sync_to_async  # type: ignore[untyped-decorator]
@without_stop_iteration
def _asked(keys: Sequence[str]) -> dict[str, str]:
    model = get_user_model()
    wanted = []
    for key in keys:
        try:
            wanted.append(model._meta.pk.to_python(key))
        except ValidationError:  # of users that the model had before
            continue
    found = model._default_manager.filter(pk__in=wanted)
    return {str(user.pk): str(user.get_username()) for user in found}
