"""Daphne with a lean WebSocket half: `shardlayer-daphne`, or `python -m shardlayer.server`.

Daphne stays: its command line, endpoints, TLS, HTTP, application life cycle and timeouts. What
is replaced is the path of a WebSocket, from the first byte to the application's queue and from
a broadcast to the socket. docs/server.md says what differs.

Importing `shardlayer.server.server` or `.cli` installs Twisted's asyncio reactor, as importing
`daphne.server` does. No other module here has a side effect.
"""
