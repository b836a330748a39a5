# SPDX-License-Identifier: Apache-2.0
"""The Markdown page, parsed with a Markdown parser."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from provenance.artifacts.registry import Classification
from provenance.gate.finding import Report, RowResult, Verdict
from provenance.output import markdown
from provenance.output.text import printable
from tests.output.test_sarif import finding
from tests.support.repository import PROJECT, Repository

OUR_HTML = {"<code>", "</code>", "<br>", "<sub>", "</sub>"}
OUR_BLOCKS = ("<details><summary>", "</details>")
OUR_MARKUP = {"text", "html_inline"}


def inlines(page: str) -> list[Token]:
    """Return all inline tokens, and check that all HTML blocks are ours."""
    found: list[Token] = []
    for token in MarkdownIt("commonmark").enable("table").parse(page):
        if token.type == "html_block":
            assert token.content.startswith(OUR_BLOCKS), token.content
        found += token.children or []
    return found


def table(page: str) -> list[list[str]]:
    """Return the cells of the first table as text."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    cells = [t for t in tokens if (t.type == "inline" and t.level == 4) or t.type == "tr_open"]
    rows: list[list[str]] = []
    for cell in cells:
        if cell.type == "tr_open":
            rows.append([])
        elif rows:
            rows[-1].append("".join(c.content for c in cell.children or [] if c.type == "text"))
    return rows


def test_a_failed_run_says_what_and_where_and_what_next(repository: Repository) -> None:
    for seed in range(3):
        repository.add(f"seed{seed}", opset=18)
    page = markdown.render(repository.save().check())
    assert page.startswith("### ❌ onnx-provenance: FAILED\n")
    assert "3 errors in 3 of 3 rows" in page
    assert "; signatures (verify).\n\n" in page
    assert table(page)[1] == [
        "seed0…2 (3 rows)",
        "ART310",
        "opset is 18; seed0.onnx imports opset 17model/registry.json:8:16 and 2 more",
        'Write "opset": 17: provenance check --fix',
    ]


def test_warnings_and_deferrals_are_folded_away_and_counted(repository: Repository) -> None:
    repository.add_sidecar(repository.add_unclaimed("a"), sha256=None)
    repository.add_sidecar(repository.add("b"), sha256="0" * 64)
    repository.defer("SID402", ["b"], reason="until the retrain")
    page = markdown.render(repository.save().check())
    assert page.startswith("### ✅ onnx-provenance: OK\n")
    assert "<details><summary>1 warning (not failures)</summary>\n\n| where |" in page
    assert "<details><summary>1 deferred, with their reasons</summary>\n\n| rule |" in page
    assert "| SID402 | <code>b</code> | until the retrain (ADR-1105) |" in page
    assert page.count("</details>") == 2


def test_a_verified_run_says_whose_trust_was_used(full: Repository) -> None:
    page = markdown.render(replace(full.released().verify(), not_judged=()))
    assert "5 rows verified" in page
    assert "Trust: provenance.toml (" in page
    assert "Not judged" not in page
    assert "next step" not in page


def test_nothing_to_verify_is_not_green(repository: Repository) -> None:
    page = markdown.render(repository.save().check())
    assert page.startswith("### ❌ onnx-provenance: NOTHING TO VERIFY\n")


def test_notes_are_told(repository: Repository) -> None:
    report = Report("r.json", (), (), notes=("one thing", "another *thing*"))
    assert "Note: another &#42;thing&#42;." in markdown.render(report)


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=y>",
        "[click](https://example.org)",
        "![x](https://example.org/x.png)",
        "https://example.org www.example.org",
        "*a* _b_ **c** ~~d~~ $x$",
        "a | b",
        "@everyone #1",
        "&lt;b&gt;",
        "</details><h1>x",
        "\n# heading\n- list",
        "\\",
        "``",
    ],
)
def test_what_was_read_is_shown_and_does_nothing(hostile: str) -> None:
    page = markdown.escaped(hostile)
    tokens = inlines(page)
    assert {t.type for t in tokens} == {"text"}
    assert "".join(t.content for t in tokens) == printable(hostile)
    for active in ("://", "@", " #1", "www.", "$", "|", "<", "~"):
        assert active not in page


def test_what_stands_between_backticks_is_code() -> None:
    assert markdown.escaped("no `a*b`") == "no <code>a&#42;b</code>"


texts = st.text("ab`*_<>|[]()!#@\\ \n&;~", min_size=1, max_size=14)


@given(texts, texts, texts, texts)
def test_no_text_whatever_becomes_markup(id: str, message: str, path: str, help: str) -> None:
    row = RowResult(id, path, 1, Classification.SMOKE, "MIT", Verdict.FAILED, ())
    found = finding(row=id, message=message, path=path, help=help)
    page = markdown.render(Report(path, (row,), (found,)))
    tokens = inlines(page)
    assert {t.type for t in tokens} <= OUR_MARKUP
    assert {t.content for t in tokens if t.type == "html_inline"} <= OUR_HTML
    assert len(table(page)) == 2
    assert all(len(cells) == 4 for cells in table(page))


def test_the_page_is_bounded_and_says_what_it_left_out() -> None:
    findings = tuple(finding(row=f"r{'x' * n}", message=f"{n} " + "x" * 500) for n in range(2_000))
    page = markdown.render(Report("r.json", (), findings))
    assert len(page.encode()) < markdown.LIMIT + 2_000
    assert "more lines, see the log" in page
    assert "2,000 errors" in page


def test_a_release_is_shown_as_its_page_wants_it(repository: Repository) -> None:
    repository.add_sidecar(repository.add("m", smoke=False, license="Zlib"))
    repository.add_external("ext")
    repository.released()
    repository.rows[0]["license"] = "MIT"
    repository.save()
    report = repository.release(version="v1.2.0")
    assert report.release is not None
    page = markdown.render(report)
    text = " ".join("".join(t.content for t in inlines(page) if t.type == "text").split())
    assert f"Release v1.2.0 of {PROJECT}, made at " in text
    assert f"It follows {report.release.previous}." in text
    signer = report.rows[0].signer or ""
    assert table(page)[:3] == [
        ["model", "kind", "license", "signed by"],
        ["m", "production", "MIT", signer],
        ["ext", "smoke", "MIT", signer],
    ]
    for file in (f for row in report.rows for f in row.model_files):
        assert file.path.replace(".", "&#46;") in page or file.path in text
        assert file.sha256 in page
    assert "<details><summary>3 model files, with their digests</summary>" in page


def test_a_release_that_has_failed_is_not_shown_as_one(repository: Repository) -> None:
    repository.add("m")
    repository.released()
    repository.path("m.onnx").unlink()
    assert "Release" not in markdown.render(repository.verify())


def test_the_version_of_a_release_is_no_markup(repository: Repository) -> None:
    repository.add("m")
    report = repository.save().release(version="[v](https://x.example) @you <b>")
    shown = inlines(markdown.render(report))
    assert {t.type for t in shown} <= OUR_MARKUP | {"softbreak"}
    assert {t.content for t in shown if t.type == "html_inline"} <= OUR_HTML
