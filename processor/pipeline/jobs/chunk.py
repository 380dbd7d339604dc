"""One piece of work of one job: bounded, so that what comes meanwhile waits for milliseconds, and a crash repeats
little.
"""

from dataclasses import dataclass, field
from typing import Final

from processor.core.catalog import Catalog, CompiledJob
from processor.core.counts import Counts
from processor.pipeline.jobs.partition_job import JobPart
from schemas.kafka import ProducerRecord

SLICE_ROWS: Final = 1000
"""Rows looked at in one piece, 1 ms; then an event that has come goes first."""
SLICE_EXPORTS: Final = 50
PAGE_ROWS: Final = 50_000
"""Rows of one page: so many are scanned again after a crash."""
PAGE_EXPORTS: Final = 500
LIVE_PAGE_EXPORTS: Final = 100
"""While events come: they wait for a page that is being committed."""


@dataclass(slots=True)
class Page:
    """The page, as far as it is."""

    part: JobPart
    job: CompiledJob | None  # None: it is cancelled, and its marks go
    catalog: Catalog
    rate: float = 0.0
    bound: int = PAGE_EXPORTS
    exports: list[ProducerRecord] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    scanned: int = 0
    ended: bool = False

    @property
    def is_full(self) -> bool:
        """Whether it is to be committed before more is done."""
        return (
            self.ended or self.scanned >= PAGE_ROWS or len(self.exports) >= self.most or len(self.rows) >= PAGE_EXPORTS
        )

    @property
    def most(self) -> float:
        """Records it may have: those of a second, where there is a rate."""
        return min(self.bound, max(1.0, self.rate)) if self.rate else self.bound
