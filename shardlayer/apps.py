"""The Django app, for those who name `shardlayer` in INSTALLED_APPS: the layer's system checks."""

from django.apps import AppConfig


class ShardlayerConfig(AppConfig):
    """Registers the checks, also where nothing has asked for the layer yet."""

    name = "shardlayer"
    verbose_name = "Shardlayer"

    def ready(self) -> None:
        """Import the layer, which registers them."""
        from shardlayer.layer import ShardedChannelLayer  # noqa: F401
