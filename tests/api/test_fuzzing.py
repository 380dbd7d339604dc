"""Whatever is sent, by the schema or against it, is answered in the one form: never a 500, never a stack trace."""

from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error

from processor.api.access import Access, Role, Token
from processor.audience_import.rejected import RejectedCounts, RejectedRow
from processor.audience_import.request import ChangeCatalog, ImportRequest, ImportResult
from processor.audience_import.rows import Rows
from processor.foundation.secrets import Secrets
from tests.api.conftest import KEY, Api
from tests.api.test_errors import code_of
from tests.api.tutorial import BASE, Tutorial

pytestmark = pytest.mark.xdist_group("fuzzing")  # the last test looks at what the others were answered

EXAMPLES = 25  # an operation; there are about fifty


def without_kafka(change: ChangeCatalog, path: Path, request: ImportRequest, rejected: Path) -> ImportResult:
    """An import that reads its file and sends nothing."""
    rows, refused, accepted = Rows(path, request.reading), RejectedCounts(), 0
    for row in rows:
        if isinstance(row, RejectedRow):
            refused.count(row)
        accepted += isinstance(row, str)
    return ImportResult("import-1", rows.dialect, accepted, 0, 0, 0, refused, rows.ignored, rows.warnings)


STATUSES = Counter[int]()
TOKEN = {"Authorization": "Bearer token"}
_api = Api(Secrets([KEY]), Access([Token(name="fuzzer", sha256=sha256(b"token").hexdigest(), role=Role.WRITE)], 5))
_api.headers |= TOKEN
_api.app.state.services = replace(_api.services, importer=without_kafka)
schema = schemathesis.openapi.from_asgi("/openapi.json", _api.app, headers=TOKEN)


@pytest.fixture(scope="module", autouse=True)
def something_is_there() -> None:
    """So that ids of real objects are among those that are tried."""
    tutorial = Tutorial(_api)
    flow = tutorial.whole()
    tutorial.map(flow["id"], flow["etag"])


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_call_is_answered_by_a_server_error(case: schemathesis.Case) -> None:
    response = case.call(headers=TOKEN)

    case.validate_response(response, checks=[not_a_server_error])
    STATUSES[response.status_code] += 1
    if response.status_code >= 400:
        code_of(response)  # type: ignore[arg-type]  # as httpx' response in what it uses


def test_the_fuzzer_was_let_in_and_found_what_is_there_and_what_is_not() -> None:
    assert {200, 204, 400, 404} <= STATUSES.keys()


DEEP = '{"name":' + "[" * 5000
HOSTILE = [
    "{}",
    "[]",
    "null",
    "0",
    '""',
    "[[]]",
    "[null]",
    '[{"op":"add"}]',
    "[1]",
    DEEP,
    '"\\ud800"',
    "1e999",
    "\x00",
    "é" * 3000,
]


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", path) for path in (f"{BASE}/flows", f"{BASE}/connections", "/v1/jobs")),
        *(("PATCH", f"{BASE}{path}") for path in ("/flows/id-5", "/connections/id-1")),
    ],
)
def test_hostile_bodies_are_refused(method: str, path: str, body: str) -> None:
    headers = {"content-type": "application/json", "if-match": "*"}

    answer = _api.request(method, path, content=body.encode(errors="surrogatepass"), headers=headers)

    assert 400 <= answer.status_code < 500
    code_of(answer)
