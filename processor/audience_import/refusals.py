"""Refuse an import before anything is sent: nobody in the file, exits by mistake, no index of identities."""

from pathlib import Path

from processor.audience_import.identities import Identities
from processor.audience_import.identity_index import SETTING
from processor.audience_import.rejected import SPOILT, RejectedCounts
from processor.audience_import.request import ImportRequest
from processor.audience_import.rows import Rows
from processor.foundation.errors import UsageError
from processor.foundation.settings import Settings


def require_no_mistaken_exits(request: ImportRequest, exits: bool, rows: Rows, rejected: RejectedCounts) -> None:
    """Raise UsageError where rejected rows may name members, who would leave without anybody having said so."""
    if exits and rejected.total() and request.exits is None:
        raise UsageError(
            f"{rows.path}: {rejected.total()} rows are rejected, and whoever is named in them would leave the"
            f" audience; nothing was sent; {_as_read(rows, rejected)}\n  mend them, or say --exits (they leave) or"
            " --no-exits (nobody does)"
        )


def require_index(settings: Settings, path: Path, identities: Identities) -> None:
    """Raise UsageError where rows name members by identity, and no index of identities is kept."""
    if identities.asked and not settings.identity_index:
        raise UsageError(
            f"{path}: {identities.asked} rows name a member by an identity, and {SETTING}=false: nobody knows whose it"
            " is; nothing was sent\n  set it to true, for this program and for every worker, which then build the"
            " index by themselves; or give a column profileId"
        )


def require_members(entering: int, rows: Rows, rejected: RejectedCounts) -> None:
    """Raise UsageError where nobody enters: no row of the file can be used."""
    if entering:
        return
    lines = "".join(f"\n  {line}" for line in rejected.lines())
    remedy = (
        "\n  --any-id takes ids that only look spoilt" if any(each in SPOILT for each in rejected.by_reason) else ""
    )
    what = (
        f"no row of it can be used ({rejected.total()} are rejected); nothing was sent, and nobody leaves the audience"
    )
    raise UsageError(f"{rows.path}: {what}; {_as_read(rows, rejected)}{lines}{remedy}")


def _as_read(rows: Rows, rejected: RejectedCounts) -> str:
    counts = ", ".join(f"{reason} {count}" for reason, count in rejected.as_json().items())
    return f"it was read as {rows.dialect}" + (f"; rejected for {counts}" if counts else "")
