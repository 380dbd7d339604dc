"""Installations of tests: the product's settings with names that nobody else has on the shared broker."""

import os
from pathlib import Path
from uuid import uuid4

from click.testing import CliRunner, Result

from processor.cli import commands
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import ENV_PREFIX, env_name
from processor.foundation.settings_processing import TopicNames
from processor.kafka.admin import Admin, TopicOutcome
from processor.kafka.topics import topic_specs
from processor.sandbox.streams import ACCESS_KEY_ID, SECRET_KEY

_AWS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",  # a flow that names no endpoint must not leave this machine
}


class Installation:
    """Settings, environment and topics of one test.

    APP_ID, TOPIC_PREFIX and DATA_DIR are its own, PARTITIONS is 4, MEMBERSHIP_EXPIRY is off, since most histories lie
    in the past; `change` sets others, before `init` or a process uses them.
    """

    def __init__(self, bootstrap_servers: str, data_dir: Path) -> None:
        name = uuid4().hex[:8]
        self.values: dict[str, object] = {
            "kafka_bootstrap_servers": bootstrap_servers,
            "app_id": f"app-{name}",
            "topic_prefix": f"t{name}-",
            "data_dir": data_dir,
            "partitions": 4,
            "membership_expiry": False,
        }

    @property
    def settings(self) -> Settings:
        """As a process with `env` would read them."""
        return Settings(_env_file=None, **self.values)  # type: ignore[call-arg, arg-type]  # pydantic-settings' own argument; values are checked

    @property
    def topics(self) -> TopicNames:
        """The names of its topics."""
        return self.settings.topics

    @property
    def env(self) -> dict[str, str]:
        """A whole environment for a process: this one's without settings and AWS names of the machine, with ours."""
        rest = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        return rest | _AWS | {env_name(field): str(value) for field, value in self.values.items()}

    def change(self, **values: object) -> None:
        """Other settings, by their names in Settings."""
        self.values |= values

    def init(self, partitions: int = 4) -> None:
        """Create the topics; after it the broker has them all."""
        self.change(partitions=partitions)
        admin, specs = Admin(self.settings), topic_specs(self.settings)
        results = admin.create_missing(specs)
        assert {result.outcome for result in results} == {TopicOutcome.CREATED}, results
        admin.require(specs)

    def command(self, *arguments: str, stdin: str | bytes | None = None) -> Result:
        """`profile-exporter arguments…` in this process, in `env`."""
        absent: dict[str, str | None] = {name: None for name in os.environ if _is_ours(name)}
        return CliRunner().invoke(commands, arguments, input=stdin, env=absent | self.env, catch_exceptions=False)


def _is_ours(name: str) -> bool:
    return name.startswith((ENV_PREFIX, "AWS_"))
