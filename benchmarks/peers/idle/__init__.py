"""Daphne with an application that does nothing: what a connection costs at least."""
