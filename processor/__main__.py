"""Run the program `profile-exporter`, or `python -m processor`.

What runs until it is stopped hears SIGTERM before anything else is imported.
"""

import sys

from processor.foundation.stop_signals import end_at_once

SERVICES = ("worker", "api")
"""Commands that end with exit code 0 when they are stopped; every other one is not done then."""


def main() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:2] and sys.argv[1] in SERVICES:
        end_at_once()
    from processor.cli import main as run_command  # noqa: PLC0415  # takes a while: signals come first

    run_command()


if __name__ == "__main__":
    main()
