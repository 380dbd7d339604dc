"""python -m tests.faults.kinesis_proxy: the proxy by hand, until Ctrl-C; see the package."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import click

from processor.sandbox.endpoint import KinesisEndpoint
from tests.faults.kinesis_proxy import FaultProxy, Plan, chaos


@click.command()
@click.option("--upstream", metavar="URL", help="Endpoint behind the proxy; without it, moto's server is started.")
@click.option(
    "--plan",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Plan in JSON; plan.py beside this says its form.",
)
@click.option("--chaos", "seed", type=int, help="Plan made from this seed instead.")
@click.option("--show", is_flag=True, help="Print the plan in JSON, and end.")
@click.option("--port", default=0, show_default="a free one", help="Port on 127.0.0.1.")
def main(upstream: str | None, path: Path | None, seed: int | None, port: int, *, show: bool) -> None:
    """A Kinesis endpoint that fails as planned; without a plan it only keeps the ledger."""
    if path is not None and seed is not None:
        raise click.UsageError("give --plan or --chaos, not both")
    try:
        plan = (
            chaos(seed) if seed is not None else Plan() if path is None else Plan.model_validate_json(path.read_bytes())
        )
    except ValueError as error:
        raise click.UsageError(f"{path}: {error}") from None
    if show:
        click.echo(plan.as_json())
        return
    with _endpoint(upstream) as url, FaultProxy(url, plan, port) as proxy:
        click.echo(
            f"{proxy.url} before {url}; another plan: PUT {proxy.url}/plan, what happened: GET {proxy.url}/ledger"
        )
        with suppress(KeyboardInterrupt):
            Event().wait()


@contextmanager
def _endpoint(upstream: str | None) -> Iterator[str]:
    if upstream is not None:
        yield upstream
        return
    with KinesisEndpoint() as endpoint:
        yield endpoint.url


if __name__ == "__main__":
    main()
