"""python-socketio, the widest used broadcast server in Python outside Channels."""
