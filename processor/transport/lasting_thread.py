"""The life of the consumer's thread: where it ends before the consumer, its calls fail and the worker ends.

It leans on these insides of Faust 0.15.3 and mode, held by `tests/transport/test_canary.py`:

- `AIOKafkaConsumerThread.on_start`, `on_thread_stop`, `_crash`, `Worker` and `_ensure_consumer`;
- `ServiceThread.call_thread` puts calls on `method_queue`, in the loop `parent_loop`;
- aiokafka's `_coordinator`, which `lease` and `lasting` watch.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

import structlog
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from mode.threads import WorkerThread
from mode.utils.futures import maybe_async

from processor.foundation.tasks import is_being_cancelled
from processor.transport.lasting import LastingTasks, TaskEnded, watch_client
from processor.transport.lease import Lease
from processor.transport.owner import Timeouts

_THREAD_ENDED: Final = "the consumer's thread ended, and the worker needs it"
_log = structlog.get_logger(__name__)


class ConsumerWorkerThread(WorkerThread):
    """The operating system's thread; where it ends before the consumer does, the worker ends."""

    def run(self) -> None:
        """Run until the consumer stops."""
        try:
            super().run()
        finally:
            cast("LastingConsumerThread", self.service).thread_ended()


class LastingConsumerThread(LastingTasks, driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, whose end nobody waits for in vain."""

    Worker = ConsumerWorkerThread
    lease: Lease

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._calls: set[asyncio.Future[Any]] = set()  # of the parent's loop, on their way
        self._has_ended = False

    @property
    def timeouts(self) -> Timeouts:
        """Return the timeouts of the consumer, which the thread shares."""
        timeouts: Timeouts = cast("Any", self.consumer).timeouts
        return timeouts

    async def on_start(self) -> None:
        """Start, and hear what the group's coordinator answers, and what of aiokafka's ends."""
        await super().on_start()
        consumer = self._ensure_consumer()
        self.lease.watch(consumer._coordinator)
        watch_client(consumer, self._client_failed)

    def _client_failed(self, error: BaseException) -> None:
        """End the worker in its own event loop, so that this thread still commits what was done."""
        if not self.is_ending:
            asyncio.run_coroutine_threadsafe(self.consumer.crash(error), self.parent_loop)

    def thread_ended(self) -> None:
        """Fail what waits for the thread, and end the worker; called in the thread, when it can do no more."""
        self._client_failed(TaskEnded(_THREAD_ENDED))
        with suppress(RuntimeError):  # the loop of the whole worker is closed: nobody waits
            self.parent_loop.call_soon_threadsafe(self._fail_calls)

    def _fail_calls(self) -> None:
        self._has_ended = True
        for call in list(self._calls):
            if not call.done():
                call.set_exception(TaskEnded(_THREAD_ENDED))

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Have the thread call `fun`; return or raise what it does, and TaskEnded where the thread ends before.

        Faust would wait for ever.
        """
        if self._has_ended:
            raise TaskEnded(_THREAD_ENDED)
        call = self.parent_loop.create_future()
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            await self.method_queue.call(call, self._unless_stopped, fun, *args, **kwargs)
        except RuntimeError:  # its event loop is closed
            call.cancel()
            raise TaskEnded(_THREAD_ENDED) from None
        return await call

    async def _unless_stopped(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `fun`, in the thread.

        A thread that ends would first do what is queued, one call after the other, and take no cancellation.
        """
        if self.should_stop:
            raise TaskEnded(_THREAD_ENDED)
        return await maybe_async(fun(*args, **kwargs))

    def _crash(self, reason: BaseException) -> None:
        """Go on when the worker crashes, which ends its services' children.

        The thread is stopped in order, after the last commit.
        """

    async def on_thread_stop(self) -> None:
        """Close the consumer, also in the middle of a rebalance; log what goes wrong, and end all the same.

        Faust waits a minute for a thread that left by CancelledError, which aiokafka raises here when a commit of the
        rebalance was cut off. Who has not left the group in time is put out of it after the session timeout.
        """
        try:
            async with asyncio.timeout(self.timeouts.close):
                await super().on_thread_stop()
        except (asyncio.CancelledError, TimeoutError, KafkaError) as error:
            if is_being_cancelled():
                raise
            _log.warning("consumer_not_closed", reason=repr(error))
