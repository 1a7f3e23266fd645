"""The units of systemd for a machine; pure.

What the Procfile embeds, Redis and Kafka, are services of the machine here: the units are ordered
after those that Debian's packages bring, and stopped before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from demo.supervision.part_rules import needs, rule_of
from demo.supervision.place import HEADER, Place

TARGET = "shardlayer-parts.target"
SERVERS = ("valkey-server.service", "redis-server.service", "kafka.service")

_TARGET = """\
# {header}
[Unit]
Description=Shardlayer: all parts of this machine
Wants={units}

[Install]
WantedBy=multi-user.target
"""
_SERVICE = """\
# {header}
[Unit]
Description=Shardlayer: {title} ({name})
PartOf={target}
Wants=network-online.target
After=network-online.target {after}
StartLimitIntervalSec=0

[Service]
Type=exec
User={user}
WorkingDirectory={directory}
Environment=DJANGO_DEBUG=0
EnvironmentFile={environment}
ExecStart={directory}/{command}
Restart=always
RestartSec=1
KillSignal=SIGTERM
KillMode=mixed
TimeoutStopSec={wait}
LimitNOFILE={files}
UMask=0077

NoNewPrivileges=true
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=true
PrivateDevices=true
PrivateTmp=true
ProtectClock=true
ProtectControlGroups=true
ProtectHome=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
ProtectProc=invisible
ProtectSystem=strict
ReadWritePaths={directory}/var
RemoveIPC=true
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged

[Install]
WantedBy={target}
"""


def systemd_units(commands: Mapping[str, str], place: Place) -> Iterator[tuple[str, str]]:
    """Yield name and text of each unit that runs the commands of a Procfile."""
    own = {name: command for name, command in commands.items() if not rule_of(name).embedded}
    units = " ".join(map(_unit, own))
    yield TARGET, _TARGET.format(header=HEADER, units=units)
    for name, command in own.items():
        rule = rule_of(name)
        yield (
            _unit(name),
            _SERVICE.format(
                header=HEADER,
                title=rule.title,
                name=name,
                target=TARGET,
                after=" ".join([*SERVERS, *map(_unit, needs(name, own))]),
                user=place.user,
                directory=place.directory,
                environment=place.environment,
                command=_escape(command),
                wait=rule.wait,
                files=place.open_files,
            ),
        )


def _unit(name: str) -> str:
    return f"shardlayer-{name}.service"


def _escape(text: str) -> str:
    """Double what begins an expansion of systemd's."""
    return text.replace("%", "%%").replace("$", "$$")
