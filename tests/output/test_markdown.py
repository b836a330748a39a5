# SPDX-License-Identifier: Apache-2.0
"""The Markdown page, parsed with a Markdown parser."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from provenance.gate.finding import Report
from provenance.output import markdown
from provenance.output.text import printable
from tests.support import reports
from tests.support.reports import failed_row, finding, report_of
from tests.support.repository import PROJECT, Repository

OUR_BLOCKS = ("<details><summary>", "</details>")


def inlines(page: str) -> list[Token]:
    """Return all inline tokens, and check that all HTML blocks are ours."""
    found: list[Token] = []
    for token in MarkdownIt("commonmark").enable("table").parse(page):
        if token.type == "html_block":
            assert token.content.startswith(OUR_BLOCKS), token.content
        found += token.children or []
    return found


def assert_no_markup(page: str) -> None:
    """Check that all markup within lines is ours."""
    for token in inlines(page):
        assert token.type in ("text", "html_inline", "softbreak")
        if token.type == "html_inline":
            assert token.content in ("<code>", "</code>", "<br>", "<sub>", "</sub>")


def table(page: str) -> list[list[str]]:
    """Return the cells of the first table as text."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and token.level == 4 and rows:
            rows[-1].append("".join(c.content for c in token.children or [] if c.type == "text"))
    return rows


def test_a_failed_run_has_a_table_of_findings_and_next_steps(repository: Repository) -> None:
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
    page = markdown.render(reports.with_deferral(repository))
    assert page.startswith("### ✅ onnx-provenance: OK\n")
    assert "<details><summary>1 warning (not failures)</summary>\n\n| where |" in page
    assert "<details><summary>1 deferred, with their reasons</summary>\n\n| rule |" in page
    assert f"| SID402 | <code>m</code> | {reports.REASON} (ADR-1105) |" in page
    assert page.count("</details>") == 2


def test_a_verified_run_names_the_trust(full: Repository) -> None:
    page = markdown.render(replace(full.released().verify(), not_judged=()))
    assert "5 rows verified" in page
    assert "Trust: provenance.toml (" in page
    assert "Not judged" not in page
    assert "next step" not in page


def test_an_empty_registry_is_a_failure(repository: Repository) -> None:
    page = markdown.render(reports.empty(repository))
    assert page.startswith("### ❌ onnx-provenance: NOTHING TO VERIFY\n")


def test_notes_are_listed_and_escaped() -> None:
    report = Report("r.json", (), (), notes=("one thing", "another *thing*"))
    assert "Note: another &#42;thing&#42;." in markdown.render(report)


@pytest.mark.parametrize(
    "hostile",
    [
        *("<script>alert(1)</script>", "<img src=x onerror=y>", "</details><h1>x", "&lt;b&gt;"),
        *("[click](https://example.org)", "![x](https://example.org/x.png)"),
        *("https://example.org www.example.org", "@everyone #1", "*a* _b_ **c** ~~d~~ $x$"),
        *("a | b", "\n# heading\n- list", "\\", "``"),
    ],
)
def test_text_from_files_is_shown_without_effect(hostile: str) -> None:
    page = markdown.escaped(hostile)
    tokens = inlines(page)
    assert {t.type for t in tokens} == {"text"}
    assert "".join(t.content for t in tokens) == printable(hostile)
    for active in ("://", "@", " #1", "www.", "$", "|", "<", "~"):
        assert active not in page


def test_text_between_backticks_is_code() -> None:
    assert markdown.escaped("no `a*b`") == "no <code>a&#42;b</code>"


texts = st.text("ab`*_<>|[]()!#@\\ \n&;~", min_size=1, max_size=14)


@given(texts, texts, texts, texts)
def test_no_text_becomes_markup(id: str, message: str, path: str, help: str) -> None:
    found = finding(row=id, message=message, path=path, help=help)
    page = markdown.render(report_of(found, rows=(failed_row(id, path),)))
    assert_no_markup(page)
    assert list(map(len, table(page))) == [4, 4]


def test_the_page_is_limited_and_counts_what_it_leaves_out() -> None:
    findings = [finding(row=f"r{'x' * n}", message=f"{n} " + "x" * 500) for n in range(2_000)]
    page = markdown.render(report_of(*findings))
    assert len(page.encode()) < markdown.LIMIT + 2_000
    assert "more lines, see the log" in page
    assert "2,000 errors" in page


def test_the_page_of_a_release_lists_models_and_digests(repository: Repository) -> None:
    repository.add_sidecar(repository.add("m", smoke=False, license="Zlib"))
    repository.add_external("ext")
    repository.released()
    repository.rows[0]["license"] = "MIT"
    report = repository.save().release(version="v1.2.0")
    page = markdown.render(report)
    text = " ".join("".join(t.content for t in inlines(page) if t.type == "text").split())
    assert f"Release v1.2.0 of {PROJECT}, made at " in text
    assert f"It follows {report.release.previous}." in text
    signer = report.rows[0].signer
    assert table(page)[:3] == [
        ["model", "kind", "license", "signed by"],
        ["m", "production", "MIT", signer],
        ["ext", "smoke", "MIT", signer],
    ]
    for file in (f for row in report.rows for f in row.model_files):
        assert file.path.replace(".", "&#46;") in page or file.path in text
        assert file.sha256 in page
    assert "<details><summary>3 model files, with their digests</summary>" in page


def test_a_release_that_fails_verification_is_not_shown_as_one(repository: Repository) -> None:
    repository.add("m")
    repository.released()
    repository.path("m.onnx").unlink()
    assert "Release" not in markdown.render(repository.verify())


def test_the_version_of_a_release_is_escaped(repository: Repository) -> None:
    repository.add("m")
    report = repository.save().release(version="[v](https://x.example) @you <b>")
    assert_no_markup(markdown.render(report))
