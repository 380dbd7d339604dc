"""`.env` is read literally, below the environment; a flow's `${NAME}` is looked up in both, and `check` says where each
value comes from (G7).
"""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.kinesis.credentials import resolve
from processor.delivery.kinesis.faults import DestinationUnusable
from processor.foundation.env_file import Environment, read_env_file, unclosed_names
from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings, read_settings
from processor.foundation.settings_environment import ENV_PREFIX, origin_of
from processor.foundation.settings_log import read_log_format

PASSWORD = r'a${b}c #d"e\n'
Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write `.env` in the working directory of the test, in which no variable of ours is set."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def write_it(content: str | bytes) -> Path:
        Path(".env").write_bytes(content if isinstance(content, bytes) else content.encode())
        return Path(".env")

    return write_it


LOGIN = (
    "PROFILE_EXPORTER_KAFKA_SECURITY_PROTOCOL=SASL_SSL\nPROFILE_EXPORTER_KAFKA_SASL_MECHANISM=PLAIN\n"
    "PROFILE_EXPORTER_KAFKA_SASL_USERNAME=ada\n"
)


def test_a_password_is_what_stands_there(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("b", "expanded")
    write(f"{LOGIN}PROFILE_EXPORTER_KAFKA_SASL_PASSWORD={PASSWORD}\n")

    password = read_settings().kafka_sasl_password

    assert password is not None
    assert password.get_secret_value() == PASSWORD


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=value", "value"),
        ("NAME=a=b==", "a=b=="),
        ("  NAME \t= value \t", "value"),
        ("export NAME=value", "value"),
        ("NAME=${HOME}/$HOME", "${HOME}/$HOME"),
        ("NAME=a # b", "a # b"),
        ("NAME=#b", "#b"),
        (r"NAME=a\n\t\\", r"a\n\t\\"),
        ('NAME="a b"', "a b"),
        ("NAME=' a '", " a "),
        (r'NAME="a\"b\n${c}"', r"a\"b\n${c}"),
        ('NAME=""a""', '"a"'),
        ("NAME='\"'", '"'),
        ("NAME='a\"", "'a\""),
        ("NAME='", "'"),
        ("NAME=it's", "it's"),
        ('NAME="a" # b', '"a" # b'),
        ("NAME=", ""),
        ('NAME=""', ""),
        ("NAME=Zoë 🜚", "Zoë 🜚"),
        ("NAME=first\nNAME=last", "last"),
    ],
)
def test_a_value_is_literal(write: Write, line: str, value: str) -> None:
    assert read_env_file(write(f"{line}\n")) == {"NAME": value}


@pytest.mark.parametrize("line", ["# NAME=value", "  #NAME=value", "NAME", "=value", "", "   ", "export =x"])
def test_a_comment_and_what_sets_nothing_are_passed_over(write: Write, line: str) -> None:
    assert read_env_file(write(f"{line}\nOTHER=x")) == {"OTHER": "x"}


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_what_other_systems_write_around_values_is_no_part_of_them(write: Write, mark: bytes, ends: str) -> None:
    assert read_env_file(write(mark + f"A=1{ends}B=2{ends}".encode())) == {"A": "1", "B": "2"}


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1).filter(
        lambda text: text == text.strip()
    )
)
def test_any_value_without_quotes_around_it_is_read_as_it_is_written(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    """And between quotes whatever it is."""
    path = tmp_path_factory.mktemp("env") / ".env"
    path.write_text(f"A={value}\nB='{value}'\n", encoding="utf-8", newline="")

    found = read_env_file(path)

    assert found["B"] == value
    assert found["A"] == value or value[0] == value[-1] in "'\""


def test_a_file_in_another_encoding_is_wrong_usage_and_never_shown(write: Write) -> None:
    write("PROFILE_EXPORTER_API_TOKEN=hunter2\n".encode("utf-16"))

    with pytest.raises(UsageError, match="not UTF-8") as raised:
        read_settings()

    assert "hunter2" not in str(raised.value)
    assert read_log_format() == "auto"


def test_a_folder_of_that_name_is_no_file_of_variables(write: Write) -> None:
    """As a virtual environment may be called."""
    Path(".env").mkdir()

    assert read_settings() == Settings(_env_file=None)  # type: ignore[call-arg]  # pydantic-settings' own argument


def test_a_pipe_is_read_as_a_file(tmp_path: Path) -> None:
    """As password managers hand variables over."""
    path = tmp_path / ".env"
    os.mkfifo(path)
    writer = Thread(target=path.write_text, args=("NAME=value\n",))
    writer.start()

    assert read_env_file(path) == {"NAME": "value"}
    writer.join()


def test_the_environment_wins_and_an_empty_value_says_nothing(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        "PROFILE_EXPORTER_PARTITIONS=2\nPROFILE_EXPORTER_DEDUP_WINDOW=7\nprofile_exporter_linger_seconds=1\nPROFILE_EXPORTER_APP_ID=\n"
    )
    monkeypatch.setenv("PROFILE_EXPORTER_PARTITIONS", "3")
    monkeypatch.setenv("PROFILE_EXPORTER_DEDUP_WINDOW", "")

    settings, environment = read_settings(), Environment()

    assert (settings.partitions, settings.dedup_window, settings.linger_seconds, settings.app_id) == (
        3,
        7,
        1.0,
        "profile-exporter",
    )
    origins = {
        name: origin_of(name, environment) for name in ("partitions", "dedup_window", "linger_seconds", "app_id")
    }
    assert origins == {
        "partitions": "environment",
        "dedup_window": ".env",
        "linger_seconds": ".env",
        "app_id": "default",
    }


@pytest.mark.parametrize(
    "name", ["profile_exporter_partitions", "Profile_Exporter_Partitions", "PROFILE_EXPORTER_PARTITIONS"]
)
def test_the_environment_is_named_where_both_set_it_in_whichever_case(
    write: Write, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write("PROFILE_EXPORTER_PARTITIONS=8\nprofile_exporter_PARTITIONS=9\n")
    monkeypatch.setenv(name, "7")

    assert read_settings().partitions == 7
    assert origin_of("partitions", Environment()) == "environment"


@pytest.mark.parametrize(
    "line",
    [
        f"PROFILE_EXPORTER_PARTITIONS=4 PROFILE_EXPORTER_KAFKA_SASL_PASSWORD={PASSWORD}",
        f"PROFILE_EXPORTER_KAFKA_BOOTSTRAP_SERVERS=ada:{PASSWORD}@host:9092",
        f"PROFILE_EXPORTER_KAFKA_OAUTH_EXTENSIONS=token {PASSWORD}",
    ],
)
def test_g7_a_wrong_value_that_may_hold_a_secret_is_not_repeated(write: Write, line: str) -> None:
    write(f"{line}\n")

    with pytest.raises(UsageError) as raised:
        read_settings()

    assert line.partition("=")[0] in str(raised.value)
    assert PASSWORD not in str(raised.value)


def test_a_wrong_value_of_the_file_is_named_as_one_of_the_environment(write: Write) -> None:
    write("PROFILE_EXPORTER_PARTITIONS=many\n")

    with pytest.raises(UsageError, match="PROFILE_EXPORTER_PARTITIONS='many'"):
        read_settings()


@pytest.mark.parametrize(
    ("environ", "content", "value"),
    [
        ({}, f"KINESIS_SECRET={PASSWORD}", PASSWORD),
        ({"KINESIS_SECRET": "of-env"}, "KINESIS_SECRET=of-file", "of-env"),
        ({"KINESIS_SECRET": ""}, "KINESIS_SECRET=of-file", "of-file"),
        ({}, "KINESIS_SECRET_FILE=mounted", "of-mount"),
        ({"KINESIS_SECRET_FILE": "mounted"}, "KINESIS_SECRET=of-file", "of-mount"),
        ({"KINESIS_SECRET": "of-env"}, "KINESIS_SECRET_FILE=mounted", "of-env"),
        ({}, "KINESIS_SECRET=of-file\nKINESIS_SECRET_FILE=mounted", "of-file"),
    ],
)
def test_g7_a_reference_of_a_flow_is_looked_up_in_the_environment_and_then_in_the_file(
    write: Write, environ: dict[str, str], content: str, value: str
) -> None:
    write(content)
    Path("mounted").write_text("of-mount\n")

    assert resolve("${KINESIS_SECRET}", Environment(environ)) == value


def test_g7_what_is_set_nowhere_is_named_with_both_places(write: Write) -> None:
    write("kinesis_secret=of another name\n")

    with pytest.raises(
        DestinationUnusable,
        match=r"KINESIS_SECRET is not set in the worker's environment or \.env, nor KINESIS_SECRET_FILE",
    ):
        resolve("${KINESIS_SECRET}", Environment({}))


def test_g7_a_secret_that_changes_in_the_file_is_found_when_it_is_looked_up_again(write: Write) -> None:
    environment = Environment({})
    write("KINESIS_SECRET=old")
    before = resolve("${KINESIS_SECRET}", environment)
    write("KINESIS_SECRET=new")

    assert (before, resolve("${KINESIS_SECRET}", environment)) == ("old", "new")


def test_a_value_that_is_more_than_its_quotes_is_found(write: Write) -> None:
    path = write("A=\"x\" # y\nB='z'\nC=\"\nD=it's 'x'\nE='a'b'\n")

    assert unclosed_names(path) == ["A"]
    assert read_env_file(path)["A"] == '"x" # y'
