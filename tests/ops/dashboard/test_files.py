"""The dashboard as it is served: whole, under a strict policy, kept by browsers, and nothing beside it."""

import gzip
import hashlib
import re
from pathlib import Path

import httpx
import pytest

import ops.dashboard.files as served_files
from ops.dashboard.files import HERE, REPORT, Dashboard
from ops.report.vendor import SHA256
from tests.support.operators import FakeOperator, asked, on_port


def ask(*requests: tuple[str, dict[str, str]], method: str = "GET") -> list[httpx.Response]:
    _, app = on_port(FakeOperator(), None, dashboard=Dashboard())

    async def use(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await client.request(method, path, headers=head) for path, head in requests]

    return asked(app, use)


def test_page_needs_no_token_and_allows_no_script_but_its_own() -> None:
    (page,) = ask(("/", {}))
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|https?:", page.text)


def test_page_names_only_files_that_are_served_and_modules_only_each_other() -> None:
    dashboard = Dashboard()
    (page,) = ask(("/", {}))
    named = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    modules = {path.name: path.read_text() for path in HERE.glob("*.js")}
    imported = {name for text in modules.values() for name in re.findall(r'from "\./([^"]+)"', text)}

    answers = ask(*((path, {}) for path in named))

    assert len(named) > 4
    assert {answer.status_code for answer in answers} == {200}
    assert imported <= set(dashboard.names)
    reached = imported | {path.rsplit("/", 1)[1] for path in named}
    assert set(modules) <= reached, "a module that nobody imports"


def test_chart_library_is_byte_for_byte_the_one_that_is_named() -> None:
    for name, digest in SHA256.items():
        assert hashlib.sha256((REPORT / "vendor" / name).read_bytes()).hexdigest() == digest


def test_nothing_in_the_files_makes_html_of_text_or_asks_another_origin() -> None:
    for path in HERE.iterdir():
        if path.suffix in {".js", ".css", ".html"}:
            text = path.read_text()
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), path
            assert set(re.findall(r"https?://[\w./]+", text)) <= {"http://www.w3.org/2000/svg"}, path


def test_file_is_kept_for_ever_and_packed_where_that_is_understood() -> None:
    name = f"{Dashboard().folder}/main.js"
    plain, packed = ask((name, {"accept-encoding": "identity"}), (name, {"accept-encoding": "gzip, br"}))
    (held,) = ask((name, {"if-none-match": plain.headers["etag"]}))

    assert plain.content == (HERE / "main.js").read_bytes() == packed.content
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, mtime=0))
    assert "immutable" in plain.headers["cache-control"]
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (held.status_code, held.content) == (304, b"")


def test_page_that_has_not_changed_is_not_sent_again() -> None:
    (page,) = ask(("/", {}))
    (held,) = ask(("/", {"if-none-match": page.headers["etag"]}))

    assert page.headers["cache-control"] == "no-cache"
    assert (held.status_code, held.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "{folder}/nothing.js",
        "{folder}/files.py",
        "{folder}/index.html",
        "{folder}/..%2ffiles.py",
        "/assets/0123456789abcdef/main.js",
    ],
)
def test_file_that_is_none_of_the_page_is_not_there(path: str) -> None:
    (answer,) = ask((path.format(folder=Dashboard().folder), {}))

    assert answer.status_code == 404


def test_changed_file_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Dashboard().folder
    for path in HERE.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "main.js").write_text("changed")
    monkeypatch.setattr(served_files, "HERE", tmp_path)

    assert Dashboard().folder != before


def test_files_are_for_reading_only() -> None:
    for answer in ask(("/", {}), (f"{Dashboard().folder}/main.js", {}), method="POST"):
        assert answer.status_code == 405
