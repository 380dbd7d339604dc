"""The benchmarks are run by hand; what they lean on must not move away unseen."""

import pkgutil
from importlib import import_module

import pytest

import benchmarks

MODULES = [
    module.name
    for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    if not module.name.endswith(".job")
]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_of_the_benchmarks_can_be_imported(name: str) -> None:
    module = import_module(name)

    assert module.__doc__
