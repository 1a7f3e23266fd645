"""The project's application with Django's requests traced, as docs/operate.md has it."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.realtime.tracing.traced_settings")

from opentelemetry.instrumentation.django import DjangoInstrumentor

DjangoInstrumentor().instrument()  # before the application is made, which reads MIDDLEWARE

from config.asgi import application  # noqa: E402

__all__ = ["application"]
