"""Checks before a worker starts: its settings, its directory, its broker and its topics.

    lock_directory     the data directory is ours alone
    wait_for_ground    broker, topics and names are as they must be; a broker that comes later is waited for
    find_environment   both, and the ids of cluster and topics

All of them block, and raise CommandError with the thing, the place and the remedy.
"""

from typing import Final
from uuid import uuid4

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from processor.kafka.admin import Admin
from processor.kafka.cluster import cluster_facts
from processor.kafka.errors import BrokerUnreachable, TopicsMissing
from processor.kafka.ground import Ground, require_settings
from processor.worker.environment import WorkerEnvironment
from state.directory import DirectoryInUse, DirectoryUnusable, StateDirectory

_BETWEEN_TRIES_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


def find_environment(settings: Settings) -> WorkerEnvironment:
    """Lock the state directory and look at the broker; blocks. Raises CommandError."""
    directory = lock_directory(settings)
    names = settings.topics
    ground = wait_for_ground(settings)
    limits = ground.limits(
        (names.exports, names.dead_letters, names.changelog, names.profile_events, names.job_progress)
    )
    facts = cluster_facts(settings, [names.profile_events, names.changelog])
    return WorkerEnvironment(directory, facts._replace(tombstone_seconds=ground.tombstone_seconds(), limits=limits))


def lock_directory(settings: Settings) -> StateDirectory:
    """Lock the data directory for this process; raises UsageError."""
    try:
        return StateDirectory.lock(settings.data_dir, lambda: uuid4().hex[:8])
    except (DirectoryInUse, DirectoryUnusable) as error:
        raise UsageError(f"{error}\n  name another with {env_name('data_dir')}") from None


def wait_for_ground(settings: Settings) -> Ground:
    """Look at the broker until it refuses nothing, for BROKER_WAIT_SECONDS at most.

    It is looked at again while a broker, or a group's coordinator, is not there yet, and while `init` may be creating
    the topics.
    """
    waiting = Retrying(
        retry=retry_if_exception_type((BrokerUnreachable, TopicsMissing)),
        stop=stop_after_delay(settings.broker_wait_seconds),
        wait=wait_fixed(_BETWEEN_TRIES_SECONDS),
        before_sleep=lambda state: _log.warning("waiting_for_broker", reason=_first_line(state)),
        reraise=True,
    )
    return waiting(_find_ground, settings)


def _find_ground(settings: Settings) -> Ground:
    require_settings(settings)
    ground = Ground(Admin(settings), settings)
    ground.require()
    return ground


def _first_line(state: RetryCallState) -> str:
    assert state.outcome is not None
    return str(state.outcome.exception()).partition("\n")[0]
