"""`profile-exporter demo`: the tour, on this machine alone."""

import click

from processor.demo.screen import open_screen
from processor.demo.tour import TourOptions, run_tour
from processor.sandbox.shop import EVENTS, SEED


@click.command()
@click.option(
    "--broker",
    envvar="BROKER",
    show_envvar=True,
    show_default="an embedded one",
    help="Kafka to use: host:port, or docker.",
)
@click.option(
    "--kinesis-endpoint",
    envvar="KINESIS_ENDPOINT",
    show_envvar=True,
    show_default="moto",
    help="Kinesis to use: an address on loopback.",
)
@click.option(
    "--events",
    type=click.IntRange(500, 10_000),
    default=EVENTS,
    show_default=True,
    help="How many events the shop has.",
)
@click.option("--seed", type=int, default=SEED, show_default=True, help="Another seed, another shop.")
@click.option("--keep", is_flag=True, help="Keep the files, topics and streams. [default: leave nothing behind]")
def demo(broker: str | None, kinesis_endpoint: str | None, events: int, seed: int, keep: bool) -> None:
    """Watch profile events become records in a Kinesis stream.

    Sends the events of a made-up shop through a real worker, kills it half-way, starts it again, and holds what the
    streams have against replay. Everything runs on this machine; a minute at most. Exit code 0: they are equal.
    """
    run_tour(TourOptions(broker or None, kinesis_endpoint or None, events, seed, keep), open_screen())
