"""The JavaScript client as a page loads it: its address, and the hash of what is served there.

A browser runs a script with an `integrity` only if its bytes have that hash (Subresource
Integrity). So the hash has to be of what the site serves, which a storage of static files may have
changed: one with hashed names rewrites the reference to the source map. Where it can't be known for
certain there is none: a wrong one would leave the page without its client.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from django.apps import apps
from django.conf import settings
from django.templatetags.static import static

logger = logging.getLogger(__name__)

CLIENT: Final = "realtime/client.iife.js"  # among the static files
PACKAGED_FILES: Final = Path(__file__).parent / "static"


class ClientScript(NamedTuple):
    """A script that a page can load.

    Attributes:
        url: Its address.
        integrity: `sha384-…`, for the attribute of this name; empty where it can't be known.
    """

    url: str
    integrity: str


def client_script() -> ClientScript:
    """Return the JavaScript client for a plain `<script>`, as this site serves it."""
    url = static(CLIENT)
    return _described(url) if not settings.DEBUG else _described.__wrapped__(url)


@cache
def _described(url: str) -> ClientScript:
    texts = _served()
    if len(texts) != 1:
        logger.info("no integrity for %s: found %d versions of it", url, len(texts))
        return ClientScript(url, "")
    (text,) = texts
    digest = base64.b64encode(hashlib.sha384(text).digest()).decode()
    return ClientScript(url, f"sha384-{digest}")


def _served() -> set[bytes]:
    """Return what may be served at the address: one text, if that is certain."""
    if not apps.is_installed("django.contrib.staticfiles"):
        return {(PACKAGED_FILES / CLIENT).read_bytes()}
    from django.contrib.staticfiles import finders
    from django.contrib.staticfiles.storage import staticfiles_storage

    stored_name = getattr(staticfiles_storage, "stored_name", None)
    texts = set()
    name = ""
    try:
        name = CLIENT if stored_name is None or settings.DEBUG else stored_name(CLIENT)
        with staticfiles_storage.open(name) as file:
            texts.add(file.read())
    except Exception as error:
        logger.debug("%s can't be read from the storage of static files: %r", CLIENT, error)
    if name == CLIENT and (found := finders.find(CLIENT)):
        texts.add(Path(found).read_bytes())  # `runserver` serves this one
    return texts
