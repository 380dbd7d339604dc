"""The `kinesis` service of compose.yaml: moto's Kinesis, on every interface of its container, one request after the
other.

`moto_server` serves requests side by side; moto's PutRecords is not safe for that and loses records.
"""

import logging
from typing import Final

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

PORT: Final = 4566

if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line for each request
    run_simple("0.0.0.0", PORT, DomainDispatcherApplication(create_backend_app), threaded=False)  # noqa: S104  # compose publishes it on loopback
