"""JSON Patch (RFC 6902) on an object's view: atomic, in order, `op` in any letter case. Pure."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

import jsonpatch
import jsonpointer

from processor.api.errors import ApiError, Code
from processor.api.flow_service.views import FIXED

_OPERATIONS: Final = frozenset({"add", "remove", "replace", "move", "copy", "test"})
_SECRET: Final = "/auth/params/secretKey"  # noqa: S105  # a place


def patched(view: dict[str, Any], operations: Sequence[Any]) -> dict[str, Any]:
    """The view after all operations; raises ApiError, and then nothing was changed."""
    if not operations:
        raise ApiError(Code.BODY_MISSING, "a JSON Patch holds at least one operation")
    after: Any = deepcopy(view)
    for number, operation in enumerate([_operation(number, operation) for number, operation in enumerate(operations)]):
        after = _applied(number, operation, after)
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


def _applied(number: int, operation: dict[str, Any], document: Any) -> Any:
    """The library's own words are not told: they quote the document, and a new secret may stand in it."""
    told = f"operation {number}, {operation['op']} {operation['path'] or 'the whole object'}"
    try:
        return jsonpatch.JsonPatch([operation]).apply(document)
    except jsonpatch.JsonPatchTestFailed:
        raise ApiError(Code.PATCH_FAILED, f"{told}: another value stands there; nothing was changed") from None
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError, ValueError, AttributeError, IndexError):
        raise ApiError(Code.PATCH_FAILED, f"{told}: there is no such place in the object; nothing was changed") from None


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
