"""XDM's names as people write them: with the prefix `xdm:`, which is dropped, or without it (contract I9)."""

from typing import Any, Final

PREFIX: Final = "xdm:"
_PREFIX_CHARACTERS: Final = len(PREFIX)


def plain_names(value: Any) -> Any:
    """Return `value` with the prefix `xdm:` dropped from every member name in it, also inside lists.

    The result is a new value, `value` stays as it is.

    Where both spellings stand side by side, the one without the prefix wins, whatever the order and also as null.
    """
    if isinstance(value, dict):
        return plain_members(value)
    if isinstance(value, list):
        return [plain_names(item) for item in value]
    return value


def plain_members(members: dict[str, Any]) -> dict[str, Any]:
    """Return `plain_names` of an object."""
    plain: dict[str, Any] = {}
    for name, value in members.items():
        if not name.startswith(PREFIX):
            plain[name] = plain_names(value)
        elif name[_PREFIX_CHARACTERS:] not in members:
            plain[name[_PREFIX_CHARACTERS:]] = plain_names(value)
    return plain
