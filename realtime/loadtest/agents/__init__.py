"""Clients on other machines: an agent there holds them, and takes what the command signed."""
