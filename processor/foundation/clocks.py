"""The types of what tells the time and of what draws lots.

Whoever needs one receives it, so that a test has its own.
"""

from collections.abc import Callable

Clock = Callable[[], float]
"""Monotonic seconds; only differences mean something."""
WallClock = Callable[[], float]
"""Seconds since 1970-01-01T00:00:00Z."""
Draw = Callable[[], float]
"""A random number from 0 up to and without 1."""
