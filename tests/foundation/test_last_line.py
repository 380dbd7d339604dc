"""The last line of what cannot go on: exit code 3 always names a remedy, in one line that a supervisor shows whole."""

import inspect
import pkgutil
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, ValidationError

import processor
import schemas
import state
from processor.foundation.errors import CommandError, StoppedForOperator, UsageError, what_and_remedy
from processor.foundation.last_line import MAX_BYTES, find_reason, last_line
from processor.pipeline.bad_events import TooManyBadEvents
from processor.worker.exit_codes import FOR_OPERATOR, with_remedy
from schemas.wire.profiles_changelog import UnreadableRow
from state.damage import NoSpace

PROGRAMS = ("__main__", "processor.app")  # importing them runs them


def import_everything() -> None:
    for package in (processor, schemas, state):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(PROGRAMS):
                import_module(module.name)


def subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    for below in kind.__subclasses__():
        yield below
        yield from subclasses(below)


def operators_reasons() -> list[type[BaseException]]:
    """Every class of errors that ends with exit code 3."""
    import_everything()
    kinds = {below for kind in FOR_OPERATOR for below in (kind, *subclasses(kind))} - {StoppedForOperator}
    return sorted(
        (kind for kind in kinds if kind.__module__.split(".")[0] != "tests"), key=lambda kind: kind.__qualname__
    )


def an_error(kind: type[BaseException]) -> BaseException:
    """One of these, its arguments made up by their types."""
    if kind.__init__ is Exception.__init__ or "__init__" not in vars(kind):
        return kind("damaged row of another version")
    hints = typing.get_type_hints(kind.__init__)
    parameters = list(inspect.signature(kind).parameters.values())
    return kind(**{each.name: made_up(hints.get(each.name, str)) for each in parameters if each.default is each.empty})


def made_up(hint: Any) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (UnionType, typing.Union):
        return made_up(next(each for each in inner if each is not NoneType))
    if hint is ValidationError:
        return a_validation_error()
    if isinstance(hint, type) and issubclass(hint, BaseException):
        return an_error(hint)
    if hint is Path:
        return Path("/data/3")
    if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, tuple)):
        hints = typing.get_type_hints(hint)
        names = [each.name for each in fields(hint)] if is_dataclass(hint) else hint._fields  # type: ignore[attr-defined]  # a NamedTuple
        return hint(**{name: made_up(hints[name]) for name in names})
    if hint in (int, float, str, bool, bytes):
        return {int: 7, float: 7.0, str: "some-text", bool: True, bytes: b"some"}[hint]
    if origin is not None:
        return a_collection(origin, [made_up(each) for each in inner if each is not Ellipsis])
    return SimpleNamespace(
        topic="profile-events", partition=3, offset=17, key=b"p-1", value=b"{}", headers=(), timestamp=0
    )


def a_collection(kind: type, made: list[Any]) -> Any:
    if issubclass(kind, Mapping):
        return {}
    return tuple(made) if kind is tuple else made[:1]


def a_validation_error() -> ValidationError:
    class Number(BaseModel):
        number: int

    with pytest.raises(ValidationError) as raised:
        Number.model_validate({"number": "none"})
    return raised.value


def test_the_known_reasons_are_among_those_that_are_looked_at() -> None:
    assert {TooManyBadEvents, UnreadableRow, NoSpace} <= set(operators_reasons())


@pytest.mark.parametrize("kind", operators_reasons(), ids=lambda kind: kind.__qualname__)
def test_every_reason_for_exit_code_3_names_its_remedy_in_one_last_line(kind: type[BaseException]) -> None:
    reason = with_remedy(an_error(kind))

    what, remedy = what_and_remedy(reason)
    for as_json in (False, True):
        line = last_line(reason, as_json=as_json)
        assert remedy
        assert remedy != what
        assert "\n" not in line
        assert len(line.encode()) <= MAX_BYTES
        assert (orjson.loads(line)["remedy"] == remedy) if as_json else line.endswith(remedy)


def test_too_many_bad_events_name_the_two_ways_on_with_the_place() -> None:
    """I4."""
    record: Any = SimpleNamespace(topic="profile-events", partition=3, offset=17)

    line = last_line(with_remedy(TooManyBadEvents(record, "not JSON", 5)), as_json=False)

    assert line.startswith(
        "profile-exporter: 5 unusable events in a row, the last at profile-events[3] offset 17: not JSON → "
    )
    assert "PROFILE_EXPORTER_SKIP_TO=3:18" in line
    assert "PROFILE_EXPORTER_MAX_BAD_EVENTS_IN_A_ROW=0" in line


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("letter", ["x", "ä", '"', "\ud800", "\n"])
def test_what_happened_is_cut_and_the_remedy_stays_whole(letter: str, as_json: bool) -> None:
    line = last_line(StoppedForOperator(f"the place: {letter * 10_000}\n  the remedy"), as_json=as_json)

    assert len(line.encode()) <= MAX_BYTES
    assert "the remedy" in line
    assert "\n" not in line


def test_other_errors_keep_their_lines_for_people_and_are_one_object_as_json() -> None:
    error = UsageError("wrong settings:\n  A=1: no\n  set it right")

    assert last_line(error, as_json=False) == f"profile-exporter: {error}"
    told = orjson.loads(last_line(error, as_json=True))
    assert (told["reason"], told["remedy"], told["exit_code"]) == ("wrong settings:; A=1: no", "set it right", 2)
    assert orjson.loads(last_line(CommandError("one line"), as_json=True))["remedy"] == ""


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("kind", [CommandError, UsageError, StoppedForOperator])
@pytest.mark.parametrize(
    "text",
    ["one line", "the place: what\n  the remedy", "a → b → c\n  do → it", "wrong:\n  A: no\n  B: no\n  set them"],
)
def test_a_supervisor_reads_the_words_out_of_the_last_lines_and_says_them_again(
    text: str, kind: type[CommandError], as_json: bool
) -> None:
    said = last_line(kind(text), as_json=as_json)
    noise = ["{", "profile-exporter: an earlier word", '{"event": "ended"}', "[info] ended"]

    found = find_reason([*noise, *said.splitlines()], as_json=as_json)

    assert found is not None
    assert without_time(last_line(kind(found), as_json=as_json)) == without_time(said)


def without_time(line: str) -> str:
    return line.partition('"timestamp"')[0]


@pytest.mark.parametrize("as_json", [False, True])
def test_lines_without_a_last_word_have_no_reason(as_json: bool) -> None:
    assert (
        find_reason(["started", '{"event":"started"}', "{not JSON, ended", '{"event":"ended"}', ""], as_json=as_json)
        is None
    )
