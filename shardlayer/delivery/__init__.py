"""The rooms of one node: who is in them, what arrives for them, and how it reaches every member.

Imports `core`, `aio` and `broker`.
"""
