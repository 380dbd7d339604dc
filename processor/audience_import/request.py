"""The request for an import, its result, and what an import calls meanwhile."""

from collections.abc import Callable
from typing import NamedTuple

from processor.audience_import.layout import Dialect
from processor.audience_import.rejected import RejectedCounts
from processor.audience_import.rows import ReadOptions
from processor.control.draft import Draft

ChangeCatalog = Callable[[Callable[[Draft], None]], None]
"""Changes flows and audiences, as ControlPlane.change does."""
ReportProgress = Callable[[str, int, int], None]
"""(what is done, rows or events, bytes of the file read)."""


class ImportRequest(NamedTuple):
    """A request to import an audience.

    `exits`: whether who is not in the file leaves; None: where the audience was described before, and no row is
    rejected.
    """

    audience_id: str
    name: str | None = None
    ttl_days: int = 30
    exits: bool | None = None
    dry_run: bool = False
    reading: ReadOptions = ReadOptions()


class ImportResult(NamedTuple):
    """The result of an import; `entered` and `exited` count events that were sent, or would have been.

    `known`: how many of those who entered were profiles before, by what the workers have applied. `rejected_rows`: how
    many for each reason, and the first of each.
    """

    name: str
    dialect: Dialect
    entered: int
    known: int
    exited: int
    duplicates: int
    rejected_rows: RejectedCounts
    ignored_columns: list[str]
    warnings: list[str]

    @property
    def rejected(self) -> int:
        """Count the rows that name no member."""
        return self.rejected_rows.total()
