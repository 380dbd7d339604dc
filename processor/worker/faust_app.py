"""A worker as Faust runs it: the app, its table and its agents.

create_app     settings in, app out; nothing is opened
declare_app    the same for the settings of this process, which ends with its last line where it cannot have an app
prepare        builds the worker's parts in its event loop, and hangs their ownership where Faust calls it
"""

import os
import signal
from typing import Any, Final, cast

import faust
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT
from faust.types.topics import TopicT

from processor.foundation import log
from processor.foundation.last_line import ending_with_last_line
from processor.foundation.log_streams import print_events
from processor.foundation.settings import Settings, read_settings
from processor.foundation.stop_signals import runs_faust_worker
from processor.kafka.connection import ssl_context
from processor.kafka.token_provider import token_provider
from processor.login.of_settings import has_token_login
from processor.pipeline.outstanding import GROUP_RECORDS
from processor.transport.consumer import BatchConsumer
from processor.worker.agents import add_agents
from processor.worker.build import Build, build
from processor.worker.environment import WorkerEnvironment
from processor.worker.exit_codes import FOR_OPERATOR
from processor.worker.ownership import Ownership
from processor.worker.recovery import LastingTables
from state.faust_store import ProfilesStore

MAX_POLL_RECORDS = GROUP_RECORDS + 1
"""More than a transaction of a worker holds: a fetch that took just that many would stop before its marker, each time.
"""
FETCH_BYTES = 1024 * 1024
LOOPBACK: Final = "127.0.0.1"
NO_WEB_PORT: Final = 6066  # Faust's own, where there is no web server: it must have one
MAX_POLL_SECONDS = 365 * 86_400.0
"""A worker that restores, or has no partitions, fetches nothing and stays in its group: heartbeats say that it lives.
"""


class ProfileExporter(faust.App):
    """The Faust app; `ownership` is there once the worker has prepared it."""

    settings: Settings
    profiles: Any
    build: Build
    ownership: Ownership | None = None
    stop_reason: BaseException | None = None

    def prepare(self, environment: WorkerEnvironment) -> None:
        """Build the worker's parts, and hang their ownership where Faust calls us.

        In the worker's event loop, before it starts.
        """
        consumer = cast("BatchConsumer", self.consumer)
        store = cast("ProfilesStore", self.profiles.data)
        self.ownership = Ownership(self.build(self.settings, environment, consumer, store, self._fail))
        consumer.owner = self.ownership
        cast("LastingTables", self.tables).takeover = self.ownership
        if self.settings.static_membership:
            self.conf.consumer_group_instance_id = environment.directory.name

    def _fail(self, reason: BaseException) -> None:
        """A reason for the operator stops the worker in order, offsets committed; anything else crashes it."""
        if isinstance(reason, FOR_OPERATOR):
            self.stop_reason = self.stop_reason or reason
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self.add_future(self.crash(reason))


def create_app(settings: Settings, build: Build = build) -> ProfileExporter:
    """Declare the app, its table and its agents; opens nothing. `build` puts the worker together.

    Raises UsageError for settings that no Kafka client takes.
    """
    names = settings.topics
    app = ProfileExporter(
        settings.app_id,
        broker=[f"batches://{address.strip()}" for address in settings.kafka_bootstrap_servers.split(",")],
        broker_credentials=_credentials(settings),
        store="profiles://",
        datadir=settings.data_dir / "faust",
        TableManager=LastingTables,
        Worker="processor.worker.faust_worker:Worker",
        logging_config=log.stdlib_config(settings),
        worker_redirect_stdouts=False,
        topic_partitions=settings.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=settings.web_port
        is not None,  # Faust's command line switches it on again, processor.worker.faust_worker off
        web_bind=LOOPBACK,
        web_host=LOOPBACK,
        web_port=settings.web_port or NO_WEB_PORT,
        web_tables_enabled=False,
        web_router_enabled=False,
        web_graph_enabled=False,
        web_stats_enabled=False,
        web_metrics_enabled=False,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        stream_buffer_maxsize=4096,  # batches; never reached: what is full is paused (Pipeline, ExportsFeed)
        consumer_auto_offset_reset="none",  # the owner says where to read, and what a log has lost
        consumer_max_fetch_size=FETCH_BYTES,
        broker_max_poll_records=MAX_POLL_RECORDS,
        broker_commit_interval=0.5,
        broker_max_poll_interval=MAX_POLL_SECONDS,
        broker_session_timeout=settings.session_timeout_seconds,
        broker_heartbeat_interval=settings.session_timeout_seconds / 5,
        broker_rebalance_timeout=max(20.0, settings.session_timeout_seconds),
    )
    app.settings, app.build = settings, build
    app.profiles = app.Table(
        "profiles",
        partitions=settings.partitions,
        key_type=bytes,
        value_type=bytes,
        changelog_topic=_raw_topic(app, names.changelog),
    )
    add_agents(app, _raw_topic(app, names.profile_events), _raw_topic(app, names.exports), lambda: app.ownership)
    return app


def _raw_topic(app: faust.App, name: str) -> TopicT:
    """A topic whose values reach the agent as the transport made them."""
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def _credentials(settings: Settings) -> CredentialsT | None:
    context = ssl_context(settings)
    if has_token_login(settings):
        return OAuthCredentials(oauth_cb=token_provider(settings), ssl_context=context)
    if settings.kafka_sasl_mechanism is not None:
        password = settings.kafka_sasl_password
        assert password is not None  # the settings agree
        return SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value(),
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context=context) if context is not None else None


def declare_app(build: Build = build) -> ProfileExporter:
    """Declare the app as the environment says; ends a process that cannot have one, with its last line."""
    with ending_with_last_line():
        settings = read_settings()
        if runs_faust_worker():
            print_events(settings.log_format)
        log.configure(settings)
        return create_app(settings, build)
    raise AssertionError("the context ends the process")
