"""A canary: hypothesis takes the numbers and texts of its examples from where tests/kit/examples.py says."""

import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

DRAWN = """
import sys
from hypothesis import given, strategies as st
from tests.kit.examples import draw_the_same_examples_everywhere
draw_the_same_examples_everywhere()
if {imports}:
    import processor.core.step, processor.foundation.settings
drawn = []
@given(st.lists(st.integers()), st.lists(st.text()))
def law(number, text):
    drawn.append((number, text))
law()
print(ascii(drawn))
"""
ROOT = Path(__file__).parents[2]


def test_hypothesis_still_collects_constants_by_the_function_that_is_replaced() -> None:
    provider = providers.HypothesisProvider(None)

    assert "_local_constants" in vars(providers.HypothesisProvider)
    assert "_get_local_constants" in providers.HypothesisProvider._local_constants.func.__code__.co_names
    assert len(provider._local_constants) == 0


def test_examples_do_not_depend_on_the_modules_that_are_imported() -> None:
    few, many = (
        subprocess.run(
            [sys.executable, "-c", DRAWN.format(imports=imports)], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for imports in (False, True)
    )

    assert few == many
    assert few.count("(") > 50


@given(st.integers())
def test_laws_draw_from_a_seed_of_their_own_and_keep_no_database(number: int) -> None:
    assert settings.default is not None
    assert settings.default.derandomize
    assert settings.default.database is None
