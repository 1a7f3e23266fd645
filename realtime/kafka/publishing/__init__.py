"""Records on their way into rooms: queues by shard, marks, and what may be committed."""
