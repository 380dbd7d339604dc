"""Read settings from `PROFILE_EXPORTER_…` variables, or from a `.env` file, which is read literally.

The environment wins over the file.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from processor.foundation.env_file import OF_THE_ENVIRONMENT, Environment, read_env_file

ENV_PREFIX: Final = "PROFILE_EXPORTER_"

Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


def env_name(field: str) -> str:
    """The environment variable of a setting."""
    return ENV_PREFIX + field.upper()


def origin_of(field: str, environment: Environment) -> str:
    """Return where a setting comes from: environment, .env, or default. Names of settings are read in any case."""
    wanted = env_name(field)
    origins = [environment.origin_of(name) for name in environment if name.upper() == wanted]
    return OF_THE_ENVIRONMENT if OF_THE_ENVIRONMENT in origins else next(filter(None, origins), "default")


def are_set(fields: Sequence[str]) -> str:
    """Say that settings are set: `A and B are set`."""
    return f"{' and '.join(env_name(field) for field in fields)} {'is' if len(fields) == 1 else 'are'} set"


class _EnvFile(PydanticBaseSettingsSource):
    """The source of `.env`, read literally: the library's own source expands `${…}` and cuts values at ` #`."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self._values = {name.upper(): value for name, value in read_env_file().items()}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:  # noqa: ARG002  # the library's signature
        """The value of one setting; None where the file says nothing."""
        return self._values.get(env_name(field_name)) or None, field_name, False

    def __call__(self) -> dict[str, str]:
        """The settings that the file says."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


_READ_BY_US: Final = (  # no file that there can be: the library reads nothing of it; None: nobody reads any
    ".env/read-by-processor.foundation.env_file"
)


class FromEnvironment(BaseSettings):
    """Read from the environment, and below it from `.env`, unless `_env_file` is None."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_file=_READ_BY_US, extra="ignore", frozen=True, env_ignore_empty=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The first source that says a setting wins."""
        file = () if getattr(dotenv_settings, "env_file", None) is None else (_EnvFile(settings_cls),)
        return (init_settings, env_settings, *file)

    def set_among(self, fields: Sequence[str]) -> list[str]:
        """Return which of these settings are set at all."""
        return [field for field in fields if getattr(self, field) is not None]
