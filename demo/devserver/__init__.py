"""What `bin/dev` does once the packages are there: starts the Procfile's parts and watches them.

Supervisor runs the parts, from a configuration made here. Its own process group, so that Ctrl-C
reaches only `bin/dev`, which has Supervisor stop them in order: workers first, Redis last.
"""
