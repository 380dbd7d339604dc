"""Watch whether this API is still the one that writes, once a second, in a thread, as long as the server runs."""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from processor.control.ports import Superseded
from processor.foundation.errors import CommandError

LOOK_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


class WatchFailed(CommandError):
    """An error: the API cannot know any more whether another one has taken over, so it must not go on."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(
            f"the control API stopped: it could not look whether another one has taken over: {error!r}\n"
            "  nothing that was answered is lost; start it again, and report this as a fault"
        )


class WriterWatch:
    """A watch for another API that takes over, from `start` to `end`.

    `look` raises Superseded where another API has taken over, CommandError where Kafka does not answer.

    Sets `superseded`, or finds it set, and calls `stop` then, once; and where `look` raises anything else: `end` raises
    WatchFailed then.
    """

    def __init__(
        self,
        look: Callable[[], None],
        superseded: threading.Event,
        stop: Callable[[], None],
        every_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._look, self._superseded, self._stop, self._every_seconds = look, superseded, stop, every_seconds
        self._done = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="writer-watch", daemon=True)

    def start(self) -> None:
        """Start the thread that looks; call it once."""
        self._thread.start()

    def end(self) -> None:
        """End the thread that looks. Raises WatchFailed."""
        self._done.set()
        self._thread.join()
        if self._failure is not None:
            raise WatchFailed(self._failure) from self._failure

    def _run(self) -> None:
        try:
            self._watch()
        except BaseException as error:
            self._failure = error
            _log.exception("writer_watch_failed")
            self._stop()

    def _watch(self) -> None:
        while not self._done.wait(self._every_seconds):
            try:
                self._look()
            except Superseded:
                self._superseded.set()
            except CommandError as error:
                _log.warning("kafka_failed", error=str(error))
            if self._superseded.is_set():
                _log.error("superseded", remedy="another control API was started; only one writes")
                self._stop()
                return
