"""docs/control-api.md is true: its tutorial runs, and it names every error; and the API's own page names every call,
without scripts.
"""

import re
from hashlib import sha256
from html import unescape
from pathlib import Path

import pytest

from processor.api.access import Access, Role, Token
from processor.api.errors import TITLES, Code
from processor.foundation.secrets import Secrets
from tests.api.conftest import Api
from tests.api.test_errors import refused

PAGE = Path(__file__).parents[2] / "docs" / "control-api.md"
BLOCK = re.compile(r"```http\n(?P<request>.*?)```\n→ (?P<status>\d+)(?P<names>[^\n]*)\n", re.DOTALL)
NAMED = re.compile(r"`(\w+)` is `(\w+)`")


def test_every_request_of_the_page_is_answered_as_it_says(api: Api) -> None:
    text, known, requests = PAGE.read_text(encoding="utf-8"), dict[str, str](), 0
    assert text.count("```http") == len(BLOCK.findall(text))
    for block in BLOCK.finditer(text):
        request = block["request"]
        for name, value in known.items():
            request = request.replace(f"{{{name}}}", value)
        head, _, body = request.partition("\n\n")
        first, *headers = head.strip().splitlines()
        method, path = first.split(" ", 1)
        sent = {name: value.strip() for name, _, value in (header.partition(":") for header in headers)}

        answer = api.request(
            method, path, content=body.encode(), headers=sent | ({"content-type": "application/json"} if body else {})
        )

        assert answer.status_code == int(block["status"]), f"{first}: {answer.text}"
        known |= {name: answer.json()[field] for field, name in NAMED.findall(block["names"])}
        requests += 1
    assert requests > 10


def test_the_page_names_every_error_with_its_remedy() -> None:
    rows = re.findall(r"^\| `(FLOW-[\d-]+)` \| (.+?) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert [(code, title) for code, title, _ in rows] == [(code.value, TITLES[code]) for code in Code]
    assert all(remedy.strip() for _, _, remedy in rows)


def test_the_page_of_all_calls_has_no_script_and_nothing_from_another_host(api: Api) -> None:
    answer = api.get("/docs")

    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.findall(r"<script|<link|<img|<iframe|\bsrc=|https?://|\bon\w+=", answer.text, re.IGNORECASE)
    for path, methods in api.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"<b>{method.upper()}</b> <code>{path}</code>" in unescape(answer.text)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_with_tokens_what_can_be_called_is_shown_to_nobody_without_one(path: str) -> None:
    guarded = Api(Secrets(), Access([Token(name="bob", sha256=sha256(b"token").hexdigest(), role=Role.READ)], 5))

    refused(guarded, guarded.get(path), Code.UNAUTHORIZED)
    assert guarded.get(path, headers={"Authorization": "Bearer token"}).status_code == 200
