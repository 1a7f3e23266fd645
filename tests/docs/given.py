"""What the pages' text speaks of and their blocks don't show: run before a page's blocks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_ASGI = """
from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application
from realtime.lifespan import lifespan
from realtime.routing import websocket_application
http = get_asgi_application()
"""

GIVEN: Mapping[str, str] = MappingProxyType(
    {
        "integrate.md": """
import logging
from django.contrib.auth.models import User
from django.test import RequestFactory
from shop.models import Order
log = logging.getLogger("shop")
data = {"title": "…"}
order = Order.objects.create(customer=User.objects.create_user("ada"), shop_id=3)
request = RequestFactory().post("/orders/7/pay", headers={"X-Realtime-Client": "Zk3xw91abQ0p-_7c"})
async def stock_of(article): return 7
""",
        "live.md": """
from shop.models import Order
order = Order.objects.create()
""",
        "metrics.md": _ASGI,
        "operate.md": _ASGI
        + "import sys, types; sys.modules['tracing'] = types.ModuleType('tracing')",
        "presence.md": """
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
layer = get_channel_layer()
""",
    }
)
