"""Users as commands name them."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser


def add_user(parser: CommandParser, *, optional: bool = False) -> None:
    """Take `user` and `is_key`, which `named_user` reads; without a user it may be None."""
    parser.add_argument(
        "user", metavar="USER", nargs="?" if optional else None, help="The user's name."
    )
    parser.add_argument(
        "--key",
        action="store_true",
        dest="is_key",
        help="USER is a primary key. It is not looked up, so this works for a deleted user, too.",
    )


def named_user(user: str, is_key: bool) -> object:
    """Return a user, or what stands for one, to be given to `realtime.connections`.

    Raises:
        CommandError: There is no user of that name.
    """
    if is_key:
        return user
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(user)
    except model.DoesNotExist as error:
        raise CommandError(f"There is no user {user!r}.") from error
