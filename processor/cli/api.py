"""`profile-exporter api`: the control API, until it is stopped."""

import click

from processor.api.serve import require_certificate, require_safe_address, serve
from processor.cli.control_plane import require_control_topics, require_job_topics
from processor.foundation.last_line import ending_with_last_line
from processor.foundation.log import configure
from processor.foundation.log_streams import print_events
from processor.foundation.settings import read_settings


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; another than loopback needs a token, and TLS.",
)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65_535), help="Port to listen on.")
def api(host: str, port: int) -> None:
    """Run the control API: flows, audiences and connections, changed while workers run.

    It has the objects and paths of Adobe's Flow Service below /data/foundation/flowservice, and the native form of FILE
    below /v1; /docs describes every call. It keeps nothing of its own, so it can be restarted or moved at will. Only
    one writes: a second one takes over, and the first stops with exit code 3.
    """
    with ending_with_last_line():
        settings = read_settings()
        print_events(settings.log_format)
        configure(settings)
        require_safe_address(settings, host)
        require_certificate(settings)
        require_control_topics(settings)
        require_job_topics(settings)
        serve(settings, host, port)
