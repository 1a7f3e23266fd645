"""`shardlayer-balancer`, or `python -m shardlayer.balancer`: for projects without the app."""

from __future__ import annotations

import argparse
import sys

from shardlayer.balancer.balancer_arguments import add_arguments, options_of
from shardlayer.balancer.serving import log_to_terminal, run_balancer
from shardlayer.core.exceptions import ShardLayerError


def main() -> None:
    """Balance until a signal ends it."""
    parser = argparse.ArgumentParser(
        prog="shardlayer-balancer",
        description="Accepts connections on one port and hands each to the least loaded worker.",
    )
    add_arguments(parser)
    options = options_of(vars(parser.parse_args()))
    log_to_terminal()
    try:
        run_balancer(options)
    except ShardLayerError as error:
        sys.exit(f"shardlayer-balancer: {error}")


if __name__ == "__main__":
    main()
