"""The outbox: publications that are written with a transaction and published once it is committed.

`entries` writes them, `outbox_store` is what a relay asks of the database, `relay` publishes them,
each once, by `lanes`, `shard_marks` asks Redis what it has of them, and `notifications` tells the
relay of commits at once where the database can.
"""
