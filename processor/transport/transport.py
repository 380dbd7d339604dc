"""The scheme `batches://HOST:PORT` of Faust's transports."""

from typing import Any, ClassVar

from faust.transport.conductor import Conductor
from faust.transport.consumer import Fetcher
from faust.transport.drivers import aiokafka as driver

from processor.transport.consumer import BatchConsumer
from processor.transport.lasting import LastingTasks


class LastingFetcher(LastingTasks, Fetcher):
    """Faust's service that drives the consumer."""


class LastingConductor(LastingTasks, Conductor):
    """Faust's service that subscribes to the topics, and hands batches to the agents."""


class Transport(driver.Transport):
    """Faust's aiokafka transport with our consumer, whose services end with the worker and not before."""

    Consumer: ClassVar[Any] = BatchConsumer
    Fetcher: ClassVar[Any] = LastingFetcher
    Conductor: ClassVar[Any] = LastingConductor
