"""Settings: read from the environment or a .env file, checked at start, wrong ones told all at once."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from processor.foundation.errors import UsageError
from processor.foundation.gaps import Gap
from processor.foundation.settings import Settings, read_settings, shown
from processor.foundation.settings_environment import ENV_PREFIX, env_name
from processor.foundation.settings_processing import ProcessingGuarantee
from processor.foundation.sizes import MIB
from schemas.destination import MASKED


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variables of the machine, and a folder without a .env file."""
    for field in Settings.model_fields:
        monkeypatch.delenv(env_name(field), raising=False)
    monkeypatch.chdir(tmp_path)


def wrong(monkeypatch: pytest.MonkeyPatch, **values: str) -> str:
    """What is said of these variables, given without their prefix."""
    for name, value in values.items():
        monkeypatch.setenv(ENV_PREFIX + name, value)
    with pytest.raises(UsageError) as raised:
        read_settings()
    assert raised.value.exit_code == 2
    return str(raised.value)


def test_without_variables_the_defaults_hold() -> None:
    settings = read_settings()

    assert settings.kafka_bootstrap_servers == "127.0.0.1:9092"
    assert (settings.app_id, settings.topic_prefix, settings.partitions) == ("profile-exporter", "", 8)
    assert settings.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE
    assert (settings.max_bad_events_in_a_row, settings.dedup_window, settings.web_port) == (1000, 1, None)


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_has_a_default_and_a_help_text(field: str) -> None:
    information = Settings.model_fields[field]

    assert not information.is_required()
    assert information.description
    assert information.description[0].isupper() or information.description.startswith(("console", "exactly_once"))
    assert information.description.endswith((".", "_ -"))


def test_the_environment_wins_over_the_file_and_an_empty_variable_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        "PROFILE_EXPORTER_PARTITIONS=3\nPROFILE_EXPORTER_APP_ID=from-file\nPROFILE_EXPORTER_DEDUP_WINDOW=\nOTHER=1\n"
    )
    monkeypatch.setenv("PROFILE_EXPORTER_PARTITIONS", "5")
    monkeypatch.setenv("PROFILE_EXPORTER_TOPIC_PREFIX", "")

    settings = read_settings()

    assert (settings.partitions, settings.app_id, settings.dedup_window, settings.topic_prefix) == (
        5,
        "from-file",
        1,
        "",
    )


def test_topics_carry_the_prefix_and_the_changelog_the_applications_name() -> None:
    names = Settings(topic_prefix="eu.", app_id="app").topics

    assert (names.profile_events, names.exports, names.changelog) == (
        "eu.profile-events",
        "eu.exports",
        "eu.app-profiles-changelog",
    )
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("document", "message"), [(1024, 2 * MIB), (512 * 1024, 2 * MIB), (8 * MIB, 17 * MIB)])
def test_a_message_holds_a_document_twice_and_a_dead_letter_of_kafkas_own_limit(document: int, message: int) -> None:
    assert Settings(max_document_bytes=document).max_message_bytes == message


def test_every_wrong_variable_is_named_with_its_value_and_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = wrong(
        monkeypatch,
        PARTITIONS="0",
        KAFKA_BOOTSTRAP_SERVERS="nowhere",
        PROCESSING_GUARANTEE="at_most_once",
        DEDUP_WINDOW="many",
    )

    assert text.startswith("wrong settings:\n")
    assert (
        "  PROFILE_EXPORTER_PARTITIONS='0': Input should be greater than or equal to 1 (Partitions of profile-events, "
        in text
    )
    assert "  PROFILE_EXPORTER_KAFKA_BOOTSTRAP_SERVERS='nowhere': " in text
    assert "(Kafka brokers to ask first: host:port, more of them separated by commas.)" in text
    assert (
        "  PROFILE_EXPORTER_PROCESSING_GUARANTEE='at_most_once': Input should be 'exactly_once' or 'at_least_once' "
        in text
    )
    assert "  PROFILE_EXPORTER_DEDUP_WINDOW='many': " in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_ID", "a b"),
        ("APP_ID", "x" * 101),
        ("TOPIC_PREFIX", "a/b"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1,,b:2"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("WEB_PORT", "70000"),
        ("LINGER_SECONDS", "11"),
        ("LINGER_SECONDS", "nan"),
        ("MAX_DOCUMENT_BYTES", "1"),
        ("KINESIS_MAX_RECORDS_PER_CALL", "501"),
        ("KINESIS_MAX_CALL_BYTES", "10485761"),
        ("KINESIS_MAX_RECORD_BYTES", "10485761"),
        ("KINESIS_CONNECT_TIMEOUT_SECONDS", "0"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_nonsense_is_refused_at_start(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"{ENV_PREFIX}{name}=" in wrong(monkeypatch, **{name: value})


def test_settings_that_do_not_go_together_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    text = wrong(
        monkeypatch,
        KAFKA_SECURITY_PROTOCOL="SASL_SSL",
        KAFKA_SASL_USERNAME="ada",
        KAFKA_SSL_KEY_FILE="key.pem",
        KINESIS_MAX_CALL_BYTES="1024",
        KINESIS_MAX_RECORD_BYTES="2048",
    )

    for told in (
        "PROFILE_EXPORTER_KAFKA_SASL_MECHANISM is missing",
        "PROFILE_EXPORTER_KAFKA_SASL_PASSWORD is missing",
        "PROFILE_EXPORTER_KAFKA_SSL_CERTIFICATE_FILE and PROFILE_EXPORTER_KAFKA_SSL_KEY_FILE go together",
        "PROFILE_EXPORTER_KINESIS_MAX_RECORD_BYTES is more than PROFILE_EXPORTER_KINESIS_MAX_CALL_BYTES",
    ):
        assert told in text
    assert "SASL_USERNAME" not in text


def test_a_password_is_never_shown_neither_in_an_error_nor_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "ada", "kafka_sasl_password": "hunter2"}
    settings = Settings(kafka_security_protocol="SASL_SSL", **login)  # type: ignore[arg-type]  # as from the environment

    assert shown(settings, "kafka_sasl_password") == MASKED
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in wrong(
        monkeypatch, KAFKA_SASL_PASSWORD="hunter2", KAFKA_SECURITY_PROTOCOL="SASL_SSL", PARTITIONS="0"
    )


@pytest.mark.parametrize(
    ("field", "text"),
    [("partitions", "8"), ("web_port", ""), ("data_dir", "data"), ("processing_guarantee", "exactly_once")],
)
def test_a_setting_is_shown_as_one_would_write_it(field: str, text: str) -> None:
    assert shown(Settings(), field) == text


def test_settings_never_change() -> None:
    settings: Any = Settings()

    with pytest.raises(ValidationError):
        settings.partitions = 3


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:99999", "127.0.0.1:9092,kafka:70000", "kafka", ":9092"]
)
def test_an_address_with_a_port_that_cannot_be_is_refused_by_name(address: str) -> None:
    with pytest.raises(ValidationError, match="kafka_bootstrap_servers"):
        Settings(_env_file=None, kafka_bootstrap_servers=address)  # type: ignore[call-arg]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "kafka:65535", "a:9092, b:9093"])
def test_addresses_that_can_be_are_taken(address: str) -> None:
    assert Settings(_env_file=None, kafka_bootstrap_servers=address).kafka_bootstrap_servers == address  # type: ignore[call-arg]


def test_standby_replicas_are_refused_in_words() -> None:
    with pytest.raises(ValidationError, match="standby replicas are not built: a takeover restores over"):
        Settings(_env_file=None, standby_replicas=1)  # type: ignore[call-arg]


def test_skips_are_read_by_partition_and_nonsense_is_refused() -> None:
    assert Settings(_env_file=None, skip_to="3:1500, 4:20").skips == {3: 1500, 4: 20}  # type: ignore[call-arg]
    assert Settings(_env_file=None).skips == {}  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="skip_to"):
        Settings(_env_file=None, skip_to="3=1500")  # type: ignore[call-arg]


@pytest.mark.parametrize("text", ["true", "True", "1", "yes"])
def test_accepting_every_gap_is_said_as_a_switch_was(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PROFILE_EXPORTER_ACCEPT_GAPS", text)

    assert read_settings().accepted.cover(Gap("exports", 0, 1, 2))


@pytest.mark.parametrize("text", ["", "false", "0"])
def test_no_gap_is_accepted_where_the_switch_was_off(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PROFILE_EXPORTER_ACCEPT_GAPS", text)

    assert not read_settings().accepted.cover(Gap("exports", 0, 1, 2))


@pytest.mark.parametrize("text", ["maybe", "exports:1", "exports:x:1", "exports:1:2;exports:1:3"])
def test_what_names_no_gap_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert "PROFILE_EXPORTER_ACCEPT_GAPS" in wrong(monkeypatch, ACCEPT_GAPS=text)


LOGIN = {"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "ada", "KAFKA_SASL_PASSWORD": "hunter2"}
BEARER = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "OAUTHBEARER"}
CLIENT = {"KAFKA_OAUTH_CLIENT_ID": "exporter", "KAFKA_OAUTH_CLIENT_SECRET": "hunter2"}
OAUTH = BEARER | CLIENT | {"KAFKA_OAUTH_TOKEN_URL": "https://tokens.example/token"}
MSK = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "AWS_MSK_IAM", "KAFKA_AWS_REGION": "eu-west-1"}
PROTOCOL = "PROFILE_EXPORTER_KAFKA_SECURITY_PROTOCOL"
FILES = {"KAFKA_SSL_CERTIFICATE_FILE": "c.pem", "KAFKA_SSL_KEY_FILE": "k.pem"}


@pytest.mark.parametrize(
    ("values", "named", "remedy"),
    [
        (
            LOGIN,
            (
                "KAFKA_SASL_MECHANISM and PROFILE_EXPORTER_KAFKA_SASL_USERNAME and PROFILE_EXPORTER_KAFKA_SASL_PASSWORD"
                " are set"
            ),
            "SASL_SSL",
        ),
        (
            LOGIN | {"KAFKA_SECURITY_PROTOCOL": "SSL"},
            f"KAFKA_SASL_PASSWORD are set: {PROTOCOL}=SSL does not log in",
            "unset",
        ),
        (
            {"KAFKA_SASL_MECHANISM": "PLAIN"},
            f"KAFKA_SASL_MECHANISM is set: {PROTOCOL}=PLAINTEXT does not log in",
            "unset",
        ),
        ({"KAFKA_SASL_PASSWORD": "hunter2"}, "KAFKA_SASL_PASSWORD is set", "SASL_SSL"),
        (
            {"KAFKA_SSL_CA_FILE": "ca.pem"},
            f"KAFKA_SSL_CA_FILE is set: {PROTOCOL}=PLAINTEXT has no TLS",
            "SSL or SASL_SSL",
        ),
        (
            LOGIN | FILES | {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"},
            "KAFKA_SSL_KEY_FILE are set",
            "SSL or SASL_SSL",
        ),
        (
            OAUTH | {"KAFKA_OAUTH_TOKEN_FILE": "t"},
            "KAFKA_OAUTH_TOKEN_URL and PROFILE_EXPORTER_KAFKA_OAUTH_TOKEN_FILE exclude each other",
            "",
        ),
        (
            BEARER | {"KAFKA_OAUTH_TOKEN_FILE": "t", "KAFKA_OAUTH_SCOPE": "a"},
            "KAFKA_OAUTH_SCOPE is set: they are for a token endpoint",
            "unset",
        ),
        (BEARER, "KAFKA_OAUTH_TOKEN_URL or PROFILE_EXPORTER_KAFKA_OAUTH_TOKEN_FILE is missing", "needs a token"),
        (
            BEARER | {"KAFKA_OAUTH_TOKEN_URL": "https://a/t"},
            "KAFKA_OAUTH_CLIENT_SECRET is missing",
            "asks a token endpoint",
        ),
        (
            BEARER | {"KAFKA_OAUTH_CLIENT_SECRET": "hunter2"},
            "KAFKA_OAUTH_TOKEN_URL is missing",
            "asks a token endpoint",
        ),
        (
            OAUTH | {"KAFKA_SASL_USERNAME": "ada"},
            "KAFKA_SASL_USERNAME is set: PROFILE_EXPORTER_KAFKA_SASL_MECHANISM=OAUTHBEARER",
            "PLAIN or SCRAM",
        ),
        (OAUTH | {"KAFKA_SASL_MECHANISM": "PLAIN"}, "KAFKA_OAUTH_CLIENT_SECRET are set", "or set OAUTHBEARER"),
        (OAUTH | {"KAFKA_AWS_REGION": "eu-west-1"}, "KAFKA_AWS_REGION is set", "or set AWS_MSK_IAM"),
        (
            OAUTH | {"KAFKA_SECURITY_PROTOCOL": "SSL"},
            "KAFKA_OAUTH_CLIENT_SECRET are set: PROFILE_EXPORTER_KAFKA_SECURITY_PROTOCOL=SSL",
            "SASL_SSL",
        ),
        (OAUTH | {"KAFKA_SASL_MECHANISM": ""}, "KAFKA_SASL_MECHANISM is missing", "logs in"),
        (
            OAUTH | {"KAFKA_OAUTH_EXTENSIONS": "auth=x"},
            "KAFKA_OAUTH_EXTENSIONS: the name auth is the token's own",
            "leave it out",
        ),
        (OAUTH | {"KAFKA_OAUTH_EXTENSIONS": "pool"}, "KAFKA_OAUTH_EXTENSIONS='pool'", "name=value"),
        (MSK | {"KAFKA_AWS_REGION": ""}, "KAFKA_AWS_REGION is missing", "signs for a region"),
        (
            MSK | {"KAFKA_AWS_EXTERNAL_ID": "x"},
            "KAFKA_AWS_EXTERNAL_ID is set: they are for a role",
            "KAFKA_AWS_ROLE_ARN",
        ),
        (MSK | {"KAFKA_AWS_ROLE_ARN": "exporter"}, "KAFKA_AWS_ROLE_ARN='exporter'", "role to assume"),
        (
            MSK | {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"},
            "KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT: ",
            "TLS alone; set SASL_SSL",
        ),
        ({"SKIP_TO": "1:5,1:9"}, "SKIP_TO=1:5,1:9: a partition is named twice", ""),
        ({"SKIP_TO": "8:5"}, "SKIP_TO=8:5: there is no partition 8, PROFILE_EXPORTER_PARTITIONS is 8", ""),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_what_to_do(
    values: dict[str, str], named: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = wrong(monkeypatch, **values)

    assert ENV_PREFIX + named in said
    assert remedy in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://tokens.example/token", "is no https:// address"),
        ("http://127.0.0.1.tokens.example/token", "is no https:// address"),
        ("ftp://127.0.0.1/token", "is no https:// address"),
        ("tokens.example/token", "after // stands no plain host"),
        ("https:///token", "after // stands no plain host"),
        ("https://ada:hunter2@tokens.example/token", "names a user before its host"),
        ("https://tokens.example/token#part", "ends in a fragment"),
        ("https://tokens.example/to ken", "a blank"),
        ("https://tokens.example:port/token", "its port cannot be read"),
    ],
)
def test_an_address_of_tokens_that_would_show_the_secret_or_go_nowhere_is_refused_and_not_repeated(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = wrong(monkeypatch, **OAUTH | {"KAFKA_OAUTH_TOKEN_URL": url})

    assert f"{ENV_PREFIX}KAFKA_OAUTH_TOKEN_URL" in text
    assert said in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "url",
    [
        "https://tokens.example/realms/a/token?tenant=7",
        "http://127.0.0.1:8080/t",
        "http://[::1]:80/t",
        "http://localhost/t",
    ],
)
def test_an_address_of_tokens_over_tls_or_on_this_machine_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (OAUTH | {"KAFKA_OAUTH_TOKEN_URL": url}).items():
        monkeypatch.setenv(ENV_PREFIX + name, value)

    assert read_settings().kafka_oauth_token_url == url


def test_authorities_of_a_token_endpoint_without_tls_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    said = wrong(
        monkeypatch, **OAUTH | {"KAFKA_OAUTH_TOKEN_URL": "http://127.0.0.1/t", "KAFKA_OAUTH_CA_FILE": "ca.pem"}
    )

    assert "KAFKA_OAUTH_CA_FILE is set: PROFILE_EXPORTER_KAFKA_OAUTH_TOKEN_URL has no TLS" in said


def test_a_role_is_taken_with_what_belongs_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    role = {
        "KAFKA_AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/exporter",
        "KAFKA_AWS_EXTERNAL_ID": "x",
        "KAFKA_AWS_ROLE_SESSION_NAME": "eu",
    }
    for name, value in (MSK | role | {"KAFKA_AWS_PROFILE": "p"}).items():
        monkeypatch.setenv(ENV_PREFIX + name, value)

    assert read_settings().kafka_aws_role_session_name == "eu"


def test_a_login_and_certificates_go_with_the_protocol_that_has_both() -> None:
    values = {name.lower(): value for name, value in (LOGIN | FILES).items()}

    assert Settings(_env_file=None, kafka_security_protocol="SASL_SSL", **values).kafka_sasl_username == "ada"  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize(
    "address", ["PLAINTEXT://kafka:9092", "ada@kafka:9092", "kafka/x:9092", "::1:9092", "kafka:9092,SSL://b:9093"]
)
def test_an_address_that_the_clients_would_read_differently_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="kafka_bootstrap_servers"):
        Settings(_env_file=None, kafka_bootstrap_servers=address)  # type: ignore[call-arg]


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    assert Settings(_env_file=None, kafka_bootstrap_servers="[::1]:9092").kafka_bootstrap_servers == "[::1]:9092"  # type: ignore[call-arg]
