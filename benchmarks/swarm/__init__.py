"""The clients: many connections in one process, that count frames and do little else.

They must cost so little that the server is what is measured: one epoll loop, a shared read
buffer, no WebSocket library, no task and no callback per connection.
"""
