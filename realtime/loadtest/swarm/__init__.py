"""The clients: many connections in one process, that check what they get and do little else.

They must cost so little that the deployment is what is tested: one epoll loop, a shared read
buffer, no WebSocket library, no task and no callback per connection. Nothing of Django is imported.
"""
