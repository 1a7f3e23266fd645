"""What our views need that a project's pages do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_not_required
from django.db import connections, transaction
from django.views.decorators.cache import never_cache

View = TypeVar("View", bound=Callable[..., Any])


def machine_view(view: View) -> View:
    """Return a view that services, balancers or Prometheus ask, and that says itself who may.

    What a project has for its pages does not hold for it: no login (LoginRequiredMiddleware), no
    cache of the whole site, no transaction around each request.
    """
    return without_transaction(login_not_required(never_cache(view)))


def without_transaction(view: View) -> View:
    """Return a view around which ATOMIC_REQUESTS puts no transaction, of whichever database.

    Django refuses one around an asynchronous view. Around one that does what can't be taken back, a
    transaction that is rolled back would take away the note of it.
    """
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view
