"""Clients that have to be let in: by a room's signature, and by Django's session on SQLite."""
