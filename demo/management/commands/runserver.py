"""`manage.py runserver` as Daphne has it: ASGI, so that WebSockets work in development.

Naming "daphne" in INSTALLED_APPS would do the same, and would install Twisted's reactor in every
process that loads Django: the Kafka pool, `migrate`, uvicorn's workers.
"""

from daphne.management.commands.runserver import Command

__all__ = ["Command"]
