"""The outbox: publications that are written with a transaction and published once it is committed.

`entries` writes them, `store` is what a relay asks of the database, `relay` publishes them, each
once, and `notifications` tells it at once where the database can.
"""
