"""Each port has one suite here, and the suite runs in memory and on the real thing."""

import importlib
import pkgutil
from types import ModuleType
from typing import is_typeddict

import pytest

import processor
import tests.contracts

MEMORY = "memory"


def modules_of(package: ModuleType) -> list[str]:
    return [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]


def ports() -> list[type]:
    """Return the protocols of every module `ports`, by its own definitions."""
    modules = [importlib.import_module(name) for name in modules_of(processor) if name.endswith(".ports")]
    return [
        found
        for module in modules
        for found in vars(module).values()
        if getattr(found, "_is_protocol", False) and found.__module__ == module.__name__ and not is_typeddict(found)
    ]


def suites() -> list[ModuleType]:
    modules = [importlib.import_module(name) for name in modules_of(tests.contracts)]
    return [module for module in modules if hasattr(module, "PORT")]


def test_modules_of_ports_are_found() -> None:
    assert len(ports()) >= 9


@pytest.mark.parametrize("port", ports(), ids=lambda port: port.__name__)
def test_a_port_has_one_suite_which_runs_in_memory_and_on_the_real_thing(port: type) -> None:
    (suite,) = (suite for suite in suites() if suite.PORT is port)

    assert suite.FORMS[0] == MEMORY
    assert len(suite.FORMS) > 1
