"""Examples of laws (hypothesis) that are the same in every run and on every machine.

A law draws its examples from a seed that its own source gives (`derandomize`). Hypothesis also draws numbers and texts
that it finds in the modules that are imported at the moment, so examples depended on which tests ran before, and on who
imports what. It has no switch for that (hypothesis 6.170), and a backend of one's own would lose its mutations. So one
private function is replaced; tests/kit/test_examples.py says when hypothesis has changed it.
"""

import os
from typing import Final

from hypothesis import settings
from hypothesis.internal.conjecture import providers

PROFILE: Final = "same-examples"
SHARE: Final = "SHARE_OF_EXAMPLES"
"""Where it is 4, a law draws a fourth of its examples: for a second run of what a first has proved in full."""


def draw_the_same_examples_everywhere() -> None:
    """Make all laws draw from fixed seeds, and from nothing that was found in modules; call it before a law is
    imported.

    A test has no deadline of its own for an example: a machine may be slow.
    """
    settings.register_profile(PROFILE, derandomize=True, database=None, deadline=None)
    settings.load_profile(PROFILE)
    none_yet = providers._local_constants  # see above
    providers._get_local_constants = lambda: none_yet  # see above


def law(max_examples: int) -> settings:
    """Return the settings of a law that draws so many examples."""
    return settings(max_examples=max(1, max_examples // int(os.environ.get(SHARE, "1"))))
