"""POST /v1/audiences/import reads a file as the command does, and says the same of it (contract M6)."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from processor.api.errors import Code
from processor.audience_import.rejected import RejectedCounts, RejectedRow
from processor.audience_import.request import ChangeCatalog, ImportRequest, ImportResult
from processor.audience_import.rows import Rows
from tests.api.conftest import Api
from tests.api.test_errors import refused

PATH = "/v1/audiences/import"
CSV = {"content-type": "text/csv"}


def without_kafka(change: ChangeCatalog, path: Path, request: ImportRequest, rejected: Path) -> ImportResult:
    """An import that sends nothing, where nobody is known."""
    rows, rejections, members = Rows(path, request.reading), RejectedCounts(), set()
    with rejected.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(RejectedRow._fields)
        for row in rows:
            if isinstance(row, RejectedRow):
                rejections.count(row)
                writer.writerow(row)
            else:
                members.add(row)
    return ImportResult(
        ",".join(sorted(members)), rows.dialect, len(members), 0, 0, 0, rejections, rows.ignored, rows.warnings
    )


@pytest.fixture
def uploads(api: Api) -> Api:
    api.app.state.services = replace(api.services, importer=without_kafka)
    return api


def test_m6_the_answer_names_encoding_delimiter_known_ids_and_reasons(uploads: Api) -> None:
    content = "\ufeffprofileId;name\r\np-1;A\r\nNULL;B\r\np-2;C\r\n\u200bp-3\r\nnan\r\n".encode()

    answer = uploads.post(PATH, params={"id": "loyalty", "dryRun": "true"}, content=content, headers=CSV)

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told.pop("rejectedRows")[1] == {
        "line": "5",
        "reason": "unseen_character",
        "explanation": "it holds a character that nobody sees, U+200B",
        "row": "\u200bp-3",
    }
    assert told == {
        "import": "p-1,p-2",
        "audience": {"namespace": "CustomerAudienceUpload", "id": "loyalty"},
        "encoding": "utf-8-sig",
        "delimiter": ";",
        "escape": None,
        "entered": 2,
        "known": 0,
        "exited": 0,
        "duplicates": 0,
        "rejected": 3,
        "rejectedFor": {"word_for_nothing": 2, "unseen_character": 1},
        "ignoredColumns": ["name"],
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("content", "parameters", "words"),
    [
        (
            "profileId\r\npeña\r\n".encode("cp1252"),
            {"encoding": "windows-1252"},
            ["the file: it is not UTF-8", "windows-1252", "peña"],
        ),
        (b'profileId,name\npe\xc3\xb1a,"a \\"b\\" c"\n', {"escape": "\\"}, ["the file: line 2: quotes", "escape"]),
        (b"profile_id\npe\xc3\xb1a\n", {"idColumn": "profile_id"}, ["the file: its header", "idColumn=profile_id"]),
        ("profileId^x\npeña^1\n".encode(), {"delimiter": "^"}, ["the file: its header", "delimiter"]),
    ],
)
def test_m6_a_parameter_takes_what_is_refused_without_it(
    uploads: Api, content: bytes, parameters: dict[str, str], words: list[str]
) -> None:
    without = uploads.post(PATH, params={"id": "loyalty"}, content=content, headers=CSV)
    taken = uploads.post(PATH, params={"id": "loyalty"} | parameters, content=content, headers=CSV)

    refused(uploads, without, Code.INVALID, *words)
    assert "--" not in without.json()["errorDetails"]
    assert (taken.status_code, taken.json()["import"]) == (200, "peña"), taken.text


def test_m6_any_id_takes_what_looks_spoilt(uploads: Api) -> None:
    answer = uploads.post(PATH, params={"id": "loyalty", "anyId": "true"}, content=b"profileId\nNULL\n", headers=CSV)

    assert (answer.json()["import"], answer.json()["rejected"]) == ("NULL", 0)


@pytest.mark.parametrize(
    ("content_type", "content", "encoding"),
    [
        ("text/csv; charset=windows-1252", "profileId\npeña\n".encode("cp1252"), "windows-1252"),
        ('Text/CSV; header=present; charset="ISO-8859-1"', "profileId\npeña\n".encode("latin-1"), "iso-8859-1"),
        (
            "text/csv; charset=UTF-8",
            "profileId\npeña\n".encode("utf-16"),
            "utf-16",
        ),  # many clients say so of every text
        ("text/csv;charset=utf-8", "profileId\npeña\n".encode(), "utf-8"),
    ],
)
def test_m6_a_charset_names_the_encoding(uploads: Api, content_type: str, content: bytes, encoding: str) -> None:
    answer = uploads.post(PATH, params={"id": "loyalty"}, content=content, headers={"content-type": content_type})

    assert (answer.json()["import"], answer.json()["encoding"]) == ("peña", encoding)


@pytest.mark.parametrize("content_type", ["text/plain", "text/csvx", "application/csv", "", ";"])
def test_what_is_not_sent_as_csv_is_refused(uploads: Api, content_type: str) -> None:
    answer = uploads.post(
        PATH, params={"id": "loyalty"}, content=b"profileId\np-1\n", headers={"content-type": content_type}
    )

    refused(uploads, answer, Code.WRONG_MEDIA_TYPE)
