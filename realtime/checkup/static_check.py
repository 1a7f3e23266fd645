"""Whether a page gets the JavaScript client, and the one of this version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from django.conf import settings

from realtime.checkup.finding import CheckRequest, Finding, fault, ok, warning
from realtime.client_script import CLIENT, PACKAGED_FILES, client_script

_COLLECT = "python manage.py collectstatic"


def check_static(asked: CheckRequest) -> Iterator[Finding]:
    """Yield why `{% realtime_client %}` would load nothing, or something old."""
    if not (PACKAGED_FILES / CLIENT).is_file():
        yield fault(
            f"The file {CLIENT} is not in the installed package.",
            "Install shardlayer again; in a checkout, run node build.mjs in clients/js/.",
        )
        return
    if not apps.is_installed("django.contrib.staticfiles"):
        yield warning(
            f"django.contrib.staticfiles is not installed, so nobody collects {CLIENT}.",
            "Add it to INSTALLED_APPS, or serve realtime/static/ yourself.",
        )
        return
    problems = [*_not_found(), *_not_collected()]
    yield from problems
    if not problems:
        script = client_script()
        checked = "with an integrity hash" if script.integrity else "without an integrity hash"
        yield ok(f"The JavaScript client is found and has the address {script.url}, {checked}.")


def _not_found() -> Iterator[Finding]:
    from django.contrib.staticfiles import finders

    if finders.find(CLIENT) is None:
        yield fault(
            f"{CLIENT} is not found among the static files.",
            "Put AppDirectoriesFinder into STATICFILES_FINDERS, and 'realtime' into "
            "INSTALLED_APPS.",
        )


def _not_collected() -> Iterator[Finding]:
    """Yield what is wrong with the collected file; with DEBUG nobody needs it."""
    if settings.DEBUG:
        return
    from django.contrib.staticfiles.storage import staticfiles_storage

    stored_name = getattr(staticfiles_storage, "stored_name", None)
    try:
        name = CLIENT if stored_name is None else stored_name(CLIENT)
    except ValueError as error:
        yield fault(f"The manifest of the static files lacks the client: {error}", _COLLECT)
        return
    if name != CLIENT:  # its content decides its name, so it can't be an old one unseen
        if not staticfiles_storage.exists(name):
            yield fault(f"The manifest names {name}, but there is no such file.", _COLLECT)
        return
    root = getattr(settings, "STATIC_ROOT", None)
    if not root:
        yield warning(
            "STATIC_ROOT is not set, so there is no place to collect static files in.",
            f"Set it, run {_COLLECT}, and let a server serve it at {settings.STATIC_URL}.",
        )
        return
    collected = Path(root) / CLIENT
    if not collected.is_file():
        yield fault(f"{collected} is not there: a page gets no JavaScript client.", _COLLECT)
    elif collected.read_bytes() != (PACKAGED_FILES / CLIENT).read_bytes():
        yield warning(f"{collected} is the client of another version.", _COLLECT)
