"""Channels as its tutorial shows it, on Daphne and channels_redis."""
