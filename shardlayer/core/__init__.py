"""Values and pure functions: options, names, sharding, the wire format, frames, serializers.

No I/O and no event loop. Imports nothing else of this package.
"""
