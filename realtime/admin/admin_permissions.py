"""What somebody of the staff may do, by the permissions of Django."""

from __future__ import annotations

from enum import StrEnum

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser


class Permission(StrEnum):
    """The permissions that the admin's pages ask for."""

    VIEW = "realtime.view_room"
    PUBLISH = "realtime.publish_room"  # also to everybody; also to clear a history
    DISCONNECT = "realtime.disconnect_room"
    DRAIN = "realtime.drain_node"
    REPLAY = "realtime.replay_letter"


def may(user: AbstractBaseUser | AnonymousUser, permission: Permission) -> bool:
    """Tell whether a user has a permission; a custom user without permissions has none."""
    has_perm = getattr(user, "has_perm", None)
    return has_perm is not None and bool(has_perm(permission.value))


def allowed(user: AbstractBaseUser | AnonymousUser) -> dict[str, bool]:
    """Return for templates what a user may do: `{"view": True, "publish": False, …}`."""
    return {each.name.lower(): may(user, each) for each in Permission}
