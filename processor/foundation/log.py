"""Logs: an event name with fields, one line each, on stderr. Ours by structlog; other libraries' in the same form.

    log = structlog.get_logger(__name__)
    log.info("partition_taken_over", partition=3, rows=120_000)

`console` for people, `json` for machines. What a library says again and again is written once in a while
(`processor.foundation.log_repeats`). Never an event's body or a secret above debug.
"""

import logging
import logging.config
from typing import Any, Final

import structlog
from structlog.typing import Processor

from processor.foundation.log_repeats import Repeats
from processor.foundation.log_streams import raw_stderr, writes_json
from processor.foundation.settings import Settings

_NOISY: Final = ("aiokafka", "asyncio", "boto3", "botocore", "faust", "mode", "urllib3")


def configure(settings: Settings) -> None:
    """Send this process' logs to stderr, as the settings say. Call it once, from a composition root."""
    structlog.configure(
        processors=[*_shared(), structlog.processors.format_exc_info, _renderer(settings)],
        wrapper_class=structlog.make_filtering_bound_logger(_level(settings)),
        logger_factory=structlog.WriteLoggerFactory(raw_stderr()),
        cache_logger_on_first_use=False,
    )
    logging.config.dictConfig(stdlib_config(settings))


def stdlib_config(settings: Settings) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` takes, so that other libraries log in our form.

    Faust takes it as `logging_config`.
    """
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [*_shared(), structlog.stdlib.ExtraAdder()],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _renderer(settings),
        ],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"events": formatter},
        "filters": {"repeats": {"()": Repeats, "libraries": _NOISY}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": raw_stderr(),
                "formatter": "events",
                "filters": ["repeats"],
            }
        },
        "loggers": {name: {"level": max(_level(settings), logging.WARNING)} for name in _NOISY},
        "root": {"handlers": ["stderr"], "level": _level(settings)},
    }


def _level(settings: Settings) -> int:
    return logging.getLevelNamesMapping()[settings.log_level.upper()]


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _renderer(settings: Settings) -> Processor:
    if writes_json(settings.log_format):
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=raw_stderr().isatty())
