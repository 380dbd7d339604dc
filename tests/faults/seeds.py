"""Seeds of tests with chaos, chosen by hand: `SEEDS=7-9 python -m pytest … -m long`."""

import os


def seeds(default: str) -> range:
    """From the first to the last that the environment names, else `default`; both are among them."""
    first, last = map(int, os.environ.get("SEEDS", default).split("-"))
    return range(first, last + 1)
