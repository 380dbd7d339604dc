"""Serve the API as a process: where it may listen, and when it must stop."""

import ssl
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from processor.api.access import Access, read_access
from processor.api.app import build_app
from processor.api.calls import Services
from processor.api.checks import BoundedChecks
from processor.api.connections import bounded_protocol
from processor.api.limits import Limits, is_loopback
from processor.api.upload_room import UploadRoom
from processor.api.watch import WriterWatch
from processor.audience_import.request import ChangeCatalog, ImportRequest, ImportResult
from processor.audience_import.run import import_audience
from processor.control.job_progress import JobProgressFollower
from processor.control.kafka_log import KafkaControlLog
from processor.control.plane import ControlPlane
from processor.control.ports import Superseded
from processor.control.recording import record_etags
from processor.control.unnamed_etags import UnnamedEtags
from processor.delivery.kinesis.endpoints import EndpointRules, endpoint_rules
from processor.delivery.kinesis.preflight import examine
from processor.delivery.kinesis.questions import QUOTE_ALL, QUOTE_CODES, Outcome, Question
from processor.foundation.env_file import ENVIRONMENT
from processor.foundation.errors import CommandError, UsageError
from processor.foundation.secrets import Secrets, secrets_of
from processor.foundation.settings import Settings
from processor.foundation.settings_environment import env_name
from processor.foundation.stop_signals import call_on_stop
from processor.kafka.errors import ReadDenied
from schemas.destination import Destination
from schemas.wire.audit_events import Author

_ITSELF: Final = Author("profile-exporter", "api")
_log = structlog.get_logger(__name__)


def require_safe_address(settings: Settings, host: str) -> None:
    """Raise UsageError where others could reach the API without a token, or read along."""
    if is_loopback(host):
        return
    if settings.api_token is None and settings.api_tokens_file is None:
        raise UsageError(
            f"--host {host}: other machines could change everything: set {env_name('api_token')} or"
            f" {env_name('api_tokens_file')}, or listen on 127.0.0.1"
        )
    if settings.api_tls_certificate_file is None and not settings.api_allow_plaintext:
        raise UsageError(
            f"--host {host}: tokens and secrets would be sent in clear: set {env_name('api_tls_certificate_file')} and"
            f" {env_name('api_tls_key_file')}, or {env_name('api_allow_plaintext')}=true where something in front of it"
            " does TLS"
        )


def require_certificate(settings: Settings) -> None:
    """Raise UsageError unless TLS takes the files that are named.

    uvicorn would end with a traceback, or ask the terminal for a passphrase.
    """
    certificate, key = settings.api_tls_certificate_file, settings.api_tls_key_file
    if certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        files = f"{env_name('api_tls_certificate_file')}={certificate}, {env_name('api_tls_key_file')}={key}"
        raise UsageError(f"{files}: {error}; name PEM files that go together, the key without a passphrase") from None


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve the API until SIGTERM or Ctrl-C.

    Raises UsageError, what KafkaControlLog raises, and Superseded when a newer API took over.
    """
    require_safe_address(settings, host)
    access = read_access(settings)
    superseded = threading.Event()
    with KafkaControlLog(settings, is_api=True) as log, closing(JobProgressFollower(settings)) as jobs:
        plane = ControlPlane(log, progress=jobs.progress)
        plane.change(_ITSELF, partial(record_etags, unnamed=UnnamedEtags(settings, _log_denied)))
        app = build_app(
            _build_services(settings, plane, access, jobs),
            Limits(settings.api_max_body_bytes, settings.api_request_seconds),
            log.require_unsuperseded,
            superseded.set,
        )
        server = build_server(app, settings, host, port)
        watch = WriterWatch(log.require_unsuperseded, superseded, partial(setattr, server, "should_exit", True))
        watch.start()
        _log.info("api_starts", host=host, port=port, tokens=not access.is_open)
        # before uvicorn hears signals; and after, when it raises them once more
        call_on_stop(partial(setattr, server, "should_exit", True))
        server.run()
        watch.end()
    if superseded.is_set():
        raise Superseded
    if not server.started:
        raise CommandError(f"nothing can listen on {host}:{port}: is something else there already?")


def _build_services(settings: Settings, plane: ControlPlane, access: Access, jobs: JobProgressFollower) -> Services:
    secrets = secrets_of(settings)
    return Services(
        plane,
        secrets,
        access,
        BoundedChecks(partial(find_faults, secrets, endpoint_rules(settings.endpoint_hosts))),
        importer=partial(_import, settings, plane),
        uploads=UploadRoom(settings.api_max_upload_bytes, settings.api_request_seconds),
        jobs=jobs.progress,
    )


def build_server(app: ASGIApp, settings: Settings, host: str, port: int) -> uvicorn.Server:
    """Return the server of an API, bounded by the settings."""
    most = settings.api_max_connections
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            http=bounded_protocol(settings.api_request_seconds, most),
            ws="none",
            # it counts the connection that asks; those that only wait have given way before (connections)
            limit_concurrency=most + 1,
            **_tls(settings),
        )
    )


def find_faults(secrets: Secrets, endpoints: EndpointRules, destination: Destination, only_access: bool) -> list[str]:
    """Report what preflight finds wrong with a destination (`checks.ExamineOne`, contract G6).

    Of an endpoint that only a flow names, it quotes codes alone.
    """
    quote = QUOTE_ALL if endpoints.trusts(destination) else QUOTE_CODES
    asked = (Question.ACCESS, Question.LIST_STREAMS) if only_access else tuple(Question)
    answers = examine(destination, ENVIRONMENT, secrets, endpoints, quote)
    wrong = [each for each in answers if each.outcome is Outcome.FAILED and each.question in asked]
    where = destination.endpoint_url or destination.region if only_access else destination.in_words
    return [f"{where}: {each.text}" for each in wrong]


def _log_denied(denied: ReadDenied) -> None:
    """Log that flows of an earlier version are not recorded, so their etags in exports may lead nowhere."""
    _log.warning("etags_not_recorded", reason=str(denied))


def _import(
    settings: Settings, plane: ControlPlane, change: ChangeCatalog, path: Path, request: ImportRequest, rejected: Path
) -> ImportResult:
    return import_audience(settings, change, plane.state, path, request, rejected, lambda *_: None)


def _tls(settings: Settings) -> dict[str, Any]:
    if settings.api_tls_certificate_file is None:
        return {}
    return {"ssl_certfile": str(settings.api_tls_certificate_file), "ssl_keyfile": str(settings.api_tls_key_file)}
