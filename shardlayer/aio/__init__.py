"""What an asyncio program needs, whatever it is about: tasks, gates, batches, other loops, threads.

Imports `core` alone.
"""
