"""The settings of the peer without limits: each that limits a client is 0."""

from benchmarks.peers.ours.settings import *  # noqa: F403
from benchmarks.peers.ours.settings import REALTIME

REALTIME.update(
    JOIN_CONCURRENCY=0,
    MAX_CLIENT_COMMANDS=0,
    MAX_CLIENT_NEW_ROOMS=0,
    MAX_CLIENT_PUBLISHES=0,
    MAX_NODE_ROOMS=0,
    MAX_ROOMS_PER_CLIENT=0,
    MAX_ROOMS_PER_FRAME=0,
    MAX_ROOM_MEMBERS=0,
    MAX_USER_CONNECTIONS=0,
    MAX_USER_NEW_ROOMS=0,
    MAX_USER_PUBLISHES=0,
    MAX_USER_ROOMS=0,
    SUBSCRIBE_TIMEOUT=0,
)
