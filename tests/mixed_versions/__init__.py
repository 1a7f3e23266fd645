"""A release and the one before it work on one Redis: see previous.py."""
