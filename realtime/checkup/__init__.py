"""`manage.py realtime check`: whether a deployment has all it needs, found out by trying it.

Each check is a small file with a function that yields findings; `known_checks.py` lists them.
"""
