"""The configuration of Supervisor for a machine; pure."""

from __future__ import annotations

from collections.abc import Mapping

from demo.devserver.procfile import worker_number
from demo.supervision.part_rules import rule_of
from demo.supervision.place import HEADER, Place

_DAEMON = """\
; {header}
[supervisord]
directory = {directory}
logfile = {directory}/var/log/supervisord.log
pidfile = {directory}/var/supervisord.pid
childlogdir = {directory}/var/log
identifier = shardlayer
user = {user}
umask = 077
minfds = {files}

[unix_http_server]
file = {directory}/var/supervisor.sock
chmod = 0700

[supervisorctl]
serverurl = unix://{directory}/var/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
_PROGRAM = """
; {title}
[program:{name}]
command = {directory}/{command}
directory = {directory}
environment = DJANGO_DEBUG="0"
priority = {rank}
autostart = true
autorestart = true
startsecs = 2
startretries = 1000000
stopsignal = TERM
stopwaitsecs = {wait}
killasgroup = true
redirect_stderr = true
stdout_logfile = {directory}/var/log/{name}.log
stdout_logfile_maxbytes = 50MB
stdout_logfile_backups = 5
"""
# Supervisor waits for one group after the other; within one, all stop side by side.
_GROUP = """
[group:{group}]
programs = {programs}
priority = {rank}
"""


def supervisor_file(commands: Mapping[str, str], place: Place) -> str:
    """Return the configuration that runs the commands of a Procfile, by name."""
    directory = place.directory
    sections = [
        _DAEMON.format(header=HEADER, directory=directory, user=place.user, files=place.open_files)
    ]
    for name, command in commands.items():
        rule = rule_of(name)
        sections.append(
            _PROGRAM.format(
                name=name,
                title=rule.title,
                command=_escape(command),
                directory=directory,
                rank=rule.rank,
                wait=rule.wait,
            )
        )
    workers = [name for name in commands if worker_number(name) is not None]
    others = [name for name in commands if rule_of(name).rank == rule_of("pool").rank]
    for group, programs in (("workers", workers), ("publishers", others)):
        if programs:
            rank = rule_of(programs[0]).rank
            sections.append(_GROUP.format(group=group, programs=",".join(programs), rank=rank))
    return "".join(sections)


def _escape(text: str) -> str:
    """Double the percent signs, which begin Supervisor's own expansions."""
    return text.replace("%", "%%")
