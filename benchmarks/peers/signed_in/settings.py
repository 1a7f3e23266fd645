"""The project's settings with the rules of rooms that a project has which says nothing of them.

All clients are one user, of whom as many may come as there are.
"""

from config.settings import *  # noqa: F403
from config.settings import REALTIME

del REALTIME["ROOMS"]
REALTIME["MAX_USER_CONNECTIONS"] = 0
