"""Apply JSON Patch (RFC 6902) to an object's view: atomic, in order, `op` in any letter case. Pure.

The cost of a patch is bounded by what is sent, not by what it asks for: the operations work on one copy of the view,
and what they copy within it, which could double with each of them, is counted before it is copied.
"""

import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

import jsonpatch
import jsonpointer

from processor.api.errors import ApiError, Code
from processor.api.flow_service.views import FIXED

MAX_OPERATIONS: Final = 1_000
"""A client that maps every audience and attribute that contract M3 takes without a warning sends 300."""
MAX_OBJECT_BYTES: Final = 512 * 1024
"""Of compact JSON: its audit event holds it twice, before and after, and a Kafka message of ours 2 MiB."""
_OPERATIONS: Final = frozenset({"add", "remove", "replace", "move", "copy", "test"})
_SHOWN_CHARACTERS: Final = 200  # of a path, in an error
_SECRET: Final = "/auth/params/secretKey"  # noqa: S105  # a path


def patched(view: dict[str, Any], operations: Sequence[Any]) -> dict[str, Any]:
    """Return the view after all operations; raise ApiError, and then nothing was changed."""
    if not operations:
        raise ApiError(Code.BODY_MISSING, "a JSON Patch holds at least one operation")
    if len(operations) > MAX_OPERATIONS:
        raise ApiError(
            Code.PATCH_FAILED,
            f"{len(operations)} operations: {MAX_OPERATIONS} at most are allowed in one patch; send several",
        )
    try:
        after = _all_applied(
            deepcopy(view), [_operation(number, operation) for number, operation in enumerate(operations)]
        )
    except RecursionError:
        raise ApiError(
            Code.PATCH_FAILED, "the patch cannot be applied, nothing was changed: a value in it is nested too deeply"
        ) from None
    return _require_unchanged(view, after)


def _require_unchanged(view: dict[str, Any], after: Any) -> dict[str, Any]:
    """Return what remains; raise ApiError unless it is an object with the fixed fields and specs of before."""
    if not isinstance(after, dict):
        raise ApiError(Code.PATCH_FAILED, "the patch cannot be applied, nothing was changed: an object must remain")
    for name in FIXED:
        if after.get(name) != view.get(name):
            remedy = "; POST /flows/{id}/action?op=enable or disable changes it" if name == "state" else ""
            raise ApiError(Code.PATCH_FAILED, f"{name} cannot be changed by a patch{remedy}")
    for spec, code in (("connectionSpec", Code.SPEC_CHANGED), ("flowSpec", Code.PATCH_FAILED)):
        if after.get(spec) != view.get(spec):
            raise ApiError(code, f"{spec} cannot be changed: create another object")
    return after


def _all_applied(document: Any, operations: Sequence[dict[str, Any]]) -> Any:
    """Apply the operations in place, in order; raise ApiError where the result, or what it copies, is too large.

    A result that is no larger than the object was is never refused: whoever has a larger one, as from a file, can
    change it.
    """
    room, bound = MAX_OBJECT_BYTES, max(MAX_OBJECT_BYTES, _size_of(document))
    for number, operation in enumerate(operations):
        document, copied_bytes = _applied(number, operation, document, room)
        room -= copied_bytes
    _require_room(bound - _size_of(document))
    return document


def _size_of(value: Any) -> int:
    """Return the bytes of a JSON value, written compactly."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass"))


def _require_room(room: int) -> None:
    if room < 0:
        raise ApiError(
            Code.PATCH_FAILED,
            f"the patch cannot be applied, nothing was changed: the object would pass {MAX_OBJECT_BYTES} bytes",
        )


def _applied(number: int, operation: dict[str, Any], document: Any, room: int) -> tuple[Any, int]:
    """Return the document after the operation, and the bytes it copied, at most `room`; raise ApiError.

    The library's own words are not shown: they quote the document, and a new secret may stand in it.
    """
    what = f"operation {number}, {operation['op']} {operation['path'][:_SHOWN_CHARACTERS] or 'the whole object'}"
    copied_bytes = 0
    try:
        if operation["op"] == "copy":
            copied_bytes = _size_of(jsonpointer.resolve_pointer(document, operation["from"]))
            _require_room(room - copied_bytes)
        return jsonpatch.JsonPatch([operation]).apply(document, in_place=True), copied_bytes
    except jsonpatch.JsonPatchTestFailed:
        raise ApiError(Code.PATCH_FAILED, f"{what}: another value stands there; nothing was changed") from None
    except (
        jsonpatch.JsonPatchException,
        jsonpointer.JsonPointerException,
        TypeError,
        KeyError,
        ValueError,
        AttributeError,
        IndexError,
    ):
        raise ApiError(
            Code.PATCH_FAILED, f"{what}: there is no such place in the object; nothing was changed"
        ) from None


def _operation(number: int, operation: Any) -> dict[str, Any]:
    where = f"operation {number}"
    if not isinstance(operation, dict):
        raise ApiError(Code.PATCH_FAILED, f"{where}: is no object with op and path")
    name, path = operation.get("op"), operation.get("path")
    if not isinstance(name, str) or name.lower() not in _OPERATIONS:
        raise ApiError(Code.UNSUPPORTED_OPERATION, f"{where}: op is none of {', '.join(sorted(_OPERATIONS))}")
    if not isinstance(path, str) or not (path == "" or path.startswith("/")):
        raise ApiError(Code.PATCH_FAILED, f"{where}: path is no JSON pointer, as /name")
    wanted: dict[str, Any] = {"op": name.lower(), "path": path}
    if wanted["op"] in ("move", "copy"):
        wanted["from"] = _from(where, operation)
    elif wanted["op"] != "remove":  # real clients send a value with it: passed over
        if "value" not in operation:
            raise ApiError(Code.PATCH_FAILED, f"{where}: value is missing")
        wanted["value"] = operation["value"]
    if wanted["op"] == "test" and (_SECRET.startswith(path) or path.startswith(_SECRET)):
        raise ApiError(Code.UNSUPPORTED_OPERATION, f"{where}: a secret cannot be tested")
    return wanted


def _from(where: str, operation: dict[str, Any]) -> str:
    source = operation.get("from")
    if not isinstance(source, str) or not (source == "" or source.startswith("/")):
        raise ApiError(Code.PATCH_FAILED, f"{where}: from is no JSON pointer, as /name")
    if source.startswith(_SECRET):
        raise ApiError(Code.UNSUPPORTED_OPERATION, f"{where}: a secret cannot be copied or moved")
    return source
