"""Bound uploads: how many there are at once, how many bytes of them are on the disk, and one import at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from anyio import CapacityLimiter

from processor.api.errors import ApiError, Code

MOST_UPLOADS: Final = 4
DEFAULT_BYTES: Final = 1024 * 1024


class UploadRoom:
    """The room for all uploads of an API; used on its event loop only.

    `most_bytes`: of one file, and of all that are on the disk at a time. `seconds`: until the next piece of a file must
    have come.
    """

    def __init__(
        self, most_bytes: int = DEFAULT_BYTES, seconds: float = 30.0, most_uploads: int = MOST_UPLOADS
    ) -> None:
        self.most_bytes = most_bytes
        self.seconds = seconds
        # two of one audience at once would make members of both files; whoever waits holds no thread
        self.one_import = CapacityLimiter(1)
        self._most_uploads = most_uploads
        self._sizes: dict[Upload, int] = {}

    @property
    def under_way(self) -> int:
        """Count the uploads that come, wait or are imported."""
        return len(self._sizes)

    @contextmanager
    def enter(self) -> "Iterator[Upload]":
        """Yield an upload, until its file is gone again; raise ApiError where as many as may be are under way."""
        if len(self._sizes) >= self._most_uploads:
            raise ApiError(
                Code.BUSY, f"{self._most_uploads} uploads are under way, or wait to be imported: send the file later"
            )
        upload = Upload(self)
        self._sizes[upload] = 0
        try:
            yield upload
        finally:
            del self._sizes[upload]

    def grow(self, upload: "Upload", size: int) -> None:
        """Count `size` bytes more of an upload; raise ApiError where its file, or all together, are too large."""
        if self._sizes[upload] + size > self.most_bytes:
            raise ApiError(Code.TOO_LARGE, f"the file is larger than {self.most_bytes} bytes")
        if sum(self._sizes.values()) + size > self.most_bytes:
            raise ApiError(
                Code.BUSY,
                f"all uploads together are larger than {self.most_bytes} bytes: send the file when the others are"
                " imported",
            )
        self._sizes[upload] += size


class Upload:
    """A file that is being uploaded."""

    def __init__(self, room: UploadRoom) -> None:
        self._room = room

    def grow(self, size: int) -> None:
        """Count the bytes that have come; raise ApiError."""
        self._room.grow(self, size)
