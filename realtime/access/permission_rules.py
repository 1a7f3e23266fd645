"""One rule: who may do something. A named rule looks at the user; a dotted path is called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.module_loading import import_string

from realtime.access.anonymous import User
from realtime.access.project_calls import is_asynchronous, project_call, require_function
from realtime.access.rule_answers import is_yes
from realtime.rooms.room_settings import PERMISSION, Action

Claims = Mapping[str, Any]
Ask = Callable[[User, str, Claims], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Who may, in one of three ways; exactly one of them is set.

    Attributes:
        text: The rule as it stands in the settings.
        everybody: The answer, whoever asks: nobody's identity is looked at.
        of_user: Decides by the user, without I/O.
        needs_fields: Whether more of the user is looked at than a token says, where the database
            can't be asked.
        ask: Asks the project, or the database: `await ask(user, room, claims)`. It is an error of
            the project if it raises.
        is_remembered: Whether an answer of `ask` counts for RULE_MAX_AGE.
    """

    text: str
    everybody: bool | None = None
    of_user: Callable[[User], bool] | None = None
    needs_fields: bool = False
    ask: Ask | None = None
    is_remembered: bool = True


def _is_signed_in(user: User) -> bool:
    return is_yes(user.is_authenticated)


def _is_staff(user: User) -> bool:
    """Of a user model without `is_staff` nobody is."""
    return is_yes(user.is_active) and is_yes(getattr(user, "is_staff", False))


ANYONE: Final = AccessRule("anyone", everybody=True)
NOBODY: Final = AccessRule("nobody", everybody=False)
SIGNED_IN: Final = AccessRule("signed_in", of_user=_is_signed_in)
STAFF: Final = AccessRule("staff", of_user=_is_staff, needs_fields=True)

_NAMED: Final = {rule.text: rule for rule in (ANYONE, NOBODY, SIGNED_IN, STAFF)}


def rule_of(text: str) -> AccessRule:
    """Return the rule that a text of the settings names.

    Raises:
        ImportError: The path leads nowhere.
        TypeError: What is there is no function that takes user, room and claims.
    """
    named = _NAMED.get(text)
    if named is not None:
        return named
    if text.startswith(PERMISSION):
        return AccessRule(text, ask=_asks_for(text.removeprefix(PERMISSION)))
    function = import_string(text)
    require_callable(function)
    # Where code may wait for the database, Django reads a field of the user when it is used.
    return AccessRule(
        text, ask=project_call(function, is_yes), needs_fields=is_asynchronous(function)
    )


def rule_of_authorize(path: str, action: Action) -> AccessRule:
    """Return the rule that the old AUTHORIZE is: asked each time, `(user, action, room)`."""
    authorize = project_call(import_string(path), is_yes)

    async def ask(user: User, room: str, claims: Claims) -> bool:
        return await authorize(user, action, room)

    return AccessRule(path, ask=ask, is_remembered=False, needs_fields=True)


def require_callable(function: object) -> None:
    """Raise TypeError, which says what is wrong, unless a rule may be `function`."""
    require_function(function, None, "", {}, signature="(user, room, claims)")


def _asks_for(permission: str) -> Ask:
    """Return a rule that holds for users who have one of Django's permissions now.

    Django remembers permissions on the object that is a user, which a connection keeps. So the user
    is read anew, as Django's documentation says.
    """

    def has(user: User) -> object:
        if isinstance(user, AbstractBaseUser):
            model = user.__class__  # not its type: a middleware's user may be a lazy object
            now: Any = model._default_manager.filter(pk=user.pk).first()
            return hasattr(now, "has_perm") and now.has_perm(permission)
        return user.has_perm(permission)

    in_thread = project_call(has, is_yes)

    async def ask(user: User, room: str, claims: Claims) -> bool:
        return await in_thread(user)

    return ask
