"""The project's settings with the rules that rooms have where a project says nothing of them."""

from config.settings import *  # noqa: F403
from config.settings import REALTIME

del REALTIME["ROOMS"]
