"""`layer`: the channel layer beside those of channels_redis, in one run."""
