# SPDX-License-Identifier: Apache-2.0
"""Findings in blocks: no finding is lost, and only alike findings are grouped."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.registry import Classification
from provenance.gate.finding import Finding, RowResult, Severity, Verdict
from provenance.output.grouping import MANY, Block, Kind, blocks


def finding(row: str | None, message: str, **fields: str) -> Finding:
    path = fields.get("path", "registry.json")
    return Finding(
        code=fields.get("code", "ART306"),
        slug="a-rule",
        severity=Severity.ERROR,
        row=row,
        path=path,
        position=Position(1, 1),
        message=message,
        help=fields.get("help", "Do it."),
        about=path,
        ensemble=fields.get("ensemble"),
    )


def result(id: str, path: str = "") -> RowResult:
    return RowResult(id, path or f"{id}.onnx", 1, Classification.SMOKE, "MIT", Verdict.FAILED, ())


def shape(found: list[Block]) -> list[tuple[tuple[str, ...], int]]:
    return [(block.subjects, len(block.entries)) for block in found]


def test_neighbours_are_alike_where_they_differ_in_their_names_and_digests() -> None:
    rows = [result("s0"), result("s1"), result("other", "s2.onnx")]
    messages = [
        f"{stem}.onnx is {digit * 12}…, declared {digit * 64}"
        for stem, digit in (("s0", "a"), ("s1", "b"), ("s2", "c"))
    ]
    found = blocks([finding(r.id, m) for r, m in zip(rows, messages, strict=True)], rows)
    assert shape(found) == [(("s0", "s1", "other"), 1)]
    assert [f.message for f in found[0].entries[0].findings] == messages


@pytest.mark.parametrize(
    "other",
    [
        {"message": "it takes 5 bytes"},
        {"message": "it takes 4 bytes", "code": "ART307"},
        {"message": "it takes 4 bytes", "help": "Do something else."},
        {"message": "it takes 4 bytes", "path": "sidecar.json"},
    ],
)
def test_another_number_rule_step_or_file_is_not_alike(other: dict[str, str]) -> None:
    message = other.pop("message")
    found = blocks([finding("a", "it takes 4 bytes"), finding("b", message, **other)], [])
    assert shape(found) == [(("a",), 1), (("b",), 1)]


def test_a_name_is_only_itself_as_a_whole_word() -> None:
    rows = [result("at"), result("in")]
    found = blocks([finding("at", "a cat"), finding("in", "a cin")], rows)
    assert len(found) == 2


def test_rows_that_are_no_neighbours_keep_their_blocks_while_they_are_few() -> None:
    findings = []
    for number in range(2 * MANY):
        findings.append(finding(f"r{number}", "the same"))
        if number % 2:
            findings.append(finding(f"r{number}", f"its own {number}"))
    assert len(blocks(findings, [])) == MANY + 1  # every second one, and all with "the same"
    few = [f for f in findings if f.row in ("r0", "r1", "r2")]
    assert shape(blocks(few, [])) == [(("r0",), 1), (("r1",), 2), (("r2",), 1)]


def test_the_same_twice_in_a_row_is_two_entries() -> None:
    found = blocks([finding(r, "the same") for r in ("a", "a", "b", "b")], [])
    assert shape(found) == [(("a", "b"), 2)]


def test_ensembles_and_files_come_after_the_rows() -> None:
    found = blocks(
        [
            finding(None, "left over", path="x.onnx"),
            finding(None, "too small", ensemble="e", path="e.json"),
            finding("r", "wrong", ensemble="e"),
        ],
        [],
    )
    assert [(b.kind, b.subjects) for b in found] == [
        (Kind.ROWS, ("r",)),
        (Kind.ENSEMBLES, ("e",)),
        (Kind.FILES, ("x.onnx",)),
    ]


findings_of_anything = st.lists(
    st.builds(
        finding,
        st.none() | st.text("abc1", min_size=1, max_size=2),
        st.text("abc1 …", max_size=6),
        code=st.sampled_from(["ART306", "LIC201"]),
        path=st.sampled_from(["registry.json", "a.json", "a"]),
    ),
    max_size=30,
)


@given(findings_of_anything, st.booleans())
def test_every_finding_is_in_exactly_one_entry_of_a_block_that_names_it(
    findings: list[Finding], fold: bool
) -> None:
    found = blocks(findings, [], fold=fold)
    grouped = [f for block in found for entry in block.entries for f in entry.findings]
    assert Counter(map(id, grouped)) == Counter(map(id, findings))
    for block in found:
        for entry in block.entries:
            assert {f.subject for f in entry.findings} <= set(block.subjects)
            assert len({f.code for f in entry.findings}) == 1
        if not fold:
            assert len(block.subjects) == 1


def test_ten_thousand_rows_take_no_time() -> None:
    rows = [result(f"row_{n}") for n in range(10_000)]
    findings = [
        finding(r.id, f"{r.id}.onnx: {text}", code=code)
        for n, r in enumerate(rows)
        for code, text in (("LIC204", "the same"), ("ART310", f"opset {n % 7}"))
    ]
    began = time.monotonic()
    assert blocks(findings, rows)
    assert time.monotonic() - began < 5
