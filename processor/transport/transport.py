"""The scheme `batches://HOST:PORT` of Faust's transports."""

from typing import Any, ClassVar

from faust.transport.drivers import aiokafka as driver

from processor.transport.consumer import BatchConsumer


class Transport(driver.Transport):
    """Faust's aiokafka transport with our consumer."""

    Consumer: ClassVar[Any] = BatchConsumer
