"""The Django app: rooms over WebSockets, publishing, the Kafka pool and the admin page."""

from importlib.metadata import PackageNotFoundError, version

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _


class RealtimeConfig(AppConfig):
    """Registers the system checks when Django has loaded.

    Raises:
        ImproperlyConfigured: Another distribution's package of this name lies over this one.
    """

    name = "realtime"
    verbose_name = _("Realtime")

    def ready(self) -> None:
        """Register what registers itself on import, and say to the layer what rooms remember."""
        require_no_namesake()
        from realtime import checks  # noqa: F401
        from realtime.access import jwt_checks, room_checks  # noqa: F401
        from realtime.access.removals_log import policy as removals_policy
        from realtime.access.revocation_log import policy
        from realtime.access.sign_out_signals import connect_signals
        from realtime.nodes.node_orders import policy as orders_policy
        from realtime.rooms.layer_rooms import options_of_rooms
        from realtime.rooms.room_names import CONTROL_ROOM, NODES_ROOM, REMOVALS_ROOM
        from realtime.tracing.begin_tracing import begin_tracing
        from shardlayer import (
            ShardedChannelLayer,  # noqa: F401  # whose import registers its own checks
            reserve_room,
            set_room_source,
        )

        set_room_source(options_of_rooms)
        reserve_room(CONTROL_ROOM, policy)
        reserve_room(REMOVALS_ROOM, removals_policy)
        reserve_room(NODES_ROOM, orders_policy)
        connect_signals()
        begin_tracing()


def require_no_namesake() -> None:
    """Refuse to run beside the distribution `realtime`, whose package has the same name.

    It is Supabase's client. pip installs both into one folder, where each replaces files of the
    other.

    Raises:
        ImproperlyConfigured: It is installed.
    """
    try:
        installed = version("realtime")
    except PackageNotFoundError:
        return
    raise ImproperlyConfigured(
        f"The package 'realtime' {installed} (Supabase's client) is installed beside "
        f"shardlayer, and their files overwrite each other. Uninstall it, and put back what it "
        f"overwrote: pip uninstall realtime && pip install --force-reinstall --no-deps shardlayer"
    )
