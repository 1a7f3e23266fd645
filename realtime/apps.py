"""The Django app: rooms over WebSockets, publishing, the Kafka pool and the admin page."""

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    """Registers the system checks when Django has loaded."""

    name = "realtime"
    verbose_name = "Realtime"

    def ready(self) -> None:
        """Register what registers itself on import."""
        from realtime import checks  # noqa: F401
