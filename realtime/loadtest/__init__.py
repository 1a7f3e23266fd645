"""Load tests: `manage.py realtime loadtest SCENARIO` against a deployment that runs.

The command (`realtime/management/subcommands/loadtest_command.py`) leads. The clients are in
processes of their own (`swarm/`), here or on other machines (`agents/`), and so is what publishes
(`publishing/`). A scenario (`scenarios/`) says what they do, and writes into one report
(`reporting/`). What reaches clients is checked by number: each publication carries its room, its
number in that room, and the time of the call that published it (`load_stamp.py`).
"""
