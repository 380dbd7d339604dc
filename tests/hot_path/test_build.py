"""What is compiled, when, and what is said where it is not."""

import re
import tomllib
from collections.abc import Callable

import pytest

from hot_path.build import main
from hot_path.sources import ROOT, find_sources, hot_files, read_setup

WHEEL, EDITABLE, METADATA = ["bdist_wheel"], ["editable_wheel"], ["egg_info"]


@pytest.fixture
def compiles() -> Callable[[list[str]], bool]:
    return read_setup()["compiles"]  # type: ignore[no-any-return]


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -pthread")


@pytest.mark.parametrize("asked", [None, "0", "1"])
def test_only_a_wheel_is_compiled_and_never_an_editable_install(
    compiles: Callable[[list[str]], bool], monkeypatch: pytest.MonkeyPatch, asked: str | None
) -> None:
    monkeypatch.delenv("BUILD_COMPILED", raising=False)
    if asked is not None:
        monkeypatch.setenv("BUILD_COMPILED", asked)
    can = read_setup()["missing_for_compiling"]() == ""

    if asked != "1" or can:
        assert compiles(WHEEL) == (can and asked != "0")
    assert not compiles(METADATA)
    assert not compiles(EDITABLE)


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_a_wheel_says_that_it_is_not_compiled(
    compiles: Callable[[list[str]], bool], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BUILD_COMPILED", raising=False)

    assert not compiles(WHEEL)
    assert "there is no C compiler (no-such-compiler)" in capsys.readouterr().err


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_there_is_no_wheel_where_a_compiled_one_is_asked_for(
    compiles: Callable[[list[str]], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUILD_COMPILED", "1")

    with pytest.raises(SystemExit, match="there is no C compiler"):
        compiles(WHEEL)


@pytest.mark.usefixtures("no_compiler")
def test_make_setup_says_in_a_line_that_there_is_no_compiler(capsys: pytest.CaptureFixture[str]) -> None:
    main()

    said = capsys.readouterr().out
    assert said.startswith("The hot path is interpreted")
    assert said.count("\n") == 1


def test_a_build_is_made_of_the_hot_path_and_all_of_ours_that_it_imports() -> None:
    sources = find_sources()

    assert set(hot_files()) < set(sources)
    assert {"schemas/model.py", "schemas/audience.py", "processor/core/__init__.py", "setup.py"} < set(sources)
    assert not any(file.startswith(("processor/cli/", "processor/worker/")) for file in sources)


def test_a_wheel_is_compiled_by_the_mypyc_that_is_tested() -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    locked = re.findall(r"^mypy==\S+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)

    assert len(locked) == 1
    assert locked[0] in required
