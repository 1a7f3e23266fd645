"""Us: shardlayer-daphne, the application that config/ names, and the sharded layer."""
