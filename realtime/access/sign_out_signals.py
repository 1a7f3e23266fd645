"""Django's signals that end a sign-in: the connections that it opened end with it.

Signing out ends those of that session. A user who is deactivated, deleted, or given another
password is signed out everywhere. What `QuerySet.update` changes sends no signal: call
`realtime.connections.disconnect`.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

from django.apps import apps
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save

from realtime.access.errands import BackgroundErrands
from realtime.access.identity import session_digest
from realtime.access.revocations import Revocation
from realtime.access.users import user_key
from realtime.connections import tell

logger = logging.getLogger(__name__)

MAX_WAITING = 1_000  # sign-outs that wait to be told of, while Redis is away

_CHANGED = "_realtime_password_changed"  # an attribute of a user, between pre_save and post_save


def connect_signals() -> None:
    """Listen to the signals, once Django has loaded. Without users nobody signs out."""
    if not apps.is_installed("django.contrib.auth"):
        return
    user_logged_out.connect(_logged_out, dispatch_uid="realtime.logged_out")
    # Of users alone, and of models that stand for them: a receiver for all models would have
    # Django read whatever is deleted before it deletes it.
    for model in apps.get_models():
        if issubclass(model, get_user_model()):
            pre_save.connect(_before_save, sender=model, dispatch_uid="realtime.before_save")
            post_save.connect(_after_save, sender=model, dispatch_uid="realtime.after_save")
            post_delete.connect(_deleted, sender=model, dispatch_uid="realtime.deleted")


def _logged_out(request: Any, **kwargs: Any) -> None:
    session = getattr(request, "session", None)
    key = getattr(session, "session_key", None)
    # Of nobody's session, such as one with a cart, nothing is taken back: strangers make as many as
    # they like, and the log has so many entries.
    if session is not None and key and SESSION_KEY in session:
        _tell_soon(Revocation(at=time.time(), session=session_digest(key)))


def _before_save(
    instance: AbstractBaseUser, using: str, update_fields: frozenset[str] | None, **kwargs: Any
) -> None:
    """Find out whether the save changes the password: one short query, if it may at all."""
    if instance.pk is None or not _writes(update_fields, "password"):
        return
    if "password" in instance.get_deferred_fields():
        return
    stored = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    before = stored.values_list("password", flat=True).first()
    if before is not None and before != instance.password:
        instance.__dict__[_CHANGED] = True


def _after_save(
    instance: AbstractBaseUser,
    using: str,
    created: bool,
    update_fields: frozenset[str] | None,
    **kwargs: Any,
) -> None:
    has_changed = instance.__dict__.pop(_CHANGED, False)
    is_out = not created and _writes(update_fields, "is_active") and not instance.is_active
    if has_changed or is_out:
        _sign_out(instance.pk, using)


def _deleted(instance: AbstractBaseUser, using: str, **kwargs: Any) -> None:
    _sign_out(instance.pk, using)


def _sign_out(key: object, database: str) -> None:
    """Sign a user out once the change is there for others to see."""

    def tell() -> None:
        _tell_soon(Revocation(at=time.time(), user=user_key(key)))

    transaction.on_commit(tell, using=database)


def _writes(update_fields: frozenset[str] | None, field: str) -> bool:
    return update_fields is None or field in update_fields


_errands = BackgroundErrands("realtime: tell of a sign-out", most=MAX_WAITING)


def _tell_soon(revocation: Revocation) -> None:
    """Tell all workers, in a thread of its own: a Redis that is away holds up no request."""
    if not _errands.run(partial(tell, revocation)):
        logger.error("%d sign-outs wait to be published already: one was dropped.", MAX_WAITING)
