# SPDX-License-Identifier: Apache-2.0
"""Findings in blocks: no finding is lost, and only similar findings are grouped."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.gate.finding import Finding
from provenance.output.grouping import MANY, Block, Kind, blocks
from tests.support import reports
from tests.support.reports import failed_row

Shape = list[tuple[tuple[str, ...], int]]


def finding(row: str | None, message: str, **fields: Any) -> Finding:
    path = fields.get("path", "registry.json")
    return reports.finding(row=row, message=message, **{"path": path, "about": path} | fields)


def shape(found: list[Block]) -> Shape:
    return [(block.subjects, len(block.entries)) for block in found]


def test_findings_that_differ_only_in_names_and_digests_share_a_block() -> None:
    rows = [failed_row("s0"), failed_row("s1"), failed_row("other", "s2.onnx")]
    messages = [f"s{n}.onnx is {d * 12}…, declared {d * 64}" for n, d in enumerate("abc")]
    found = blocks([finding(r.id, m) for r, m in zip(rows, messages, strict=True)], rows)
    assert shape(found) == [(("s0", "s1", "other"), 1)]
    assert [f.message for f in found[0].entries[0].findings] == messages


@pytest.mark.parametrize(
    "other",
    [
        {"message": "it takes 5 bytes"},
        {"code": "ART307"},
        {"help": "Do something else."},
        {"path": "sidecar.json"},
    ],
)
def test_another_number_rule_step_or_file_is_not_similar(other: dict[str, str]) -> None:
    second = finding("b", **({"message": "it takes 4 bytes"} | other))
    found = blocks([finding("a", "it takes 4 bytes"), second], [])
    assert shape(found) == [(("a",), 1), (("b",), 1)]


def test_only_whole_words_are_names_of_rows() -> None:
    rows = [failed_row("at"), failed_row("in")]
    assert len(blocks([finding("at", "a cat"), finding("in", "a cin")], rows)) == 2


def test_rows_that_are_not_adjacent_share_a_block_only_if_there_are_many() -> None:
    findings = []
    for number in range(2 * MANY):
        findings.append(finding(f"r{number}", "the same"))
        if number % 2:
            findings.append(finding(f"r{number}", f"its own {number}"))
    assert len(blocks(findings, [])) == MANY + 1  # every second one, and all with "the same"
    few = [f for f in findings if f.row in ("r0", "r1", "r2")]
    assert shape(blocks(few, [])) == [(("r0",), 1), (("r1",), 2), (("r2",), 1)]


def test_two_findings_with_one_message_in_a_row_are_two_entries() -> None:
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


any_finding = st.builds(
    finding,
    st.none() | st.text("abc1", min_size=1, max_size=2),
    st.text("abc1 …", max_size=6),
    code=st.sampled_from(["ART306", "LIC201"]),
    path=st.sampled_from(["registry.json", "a.json", "a"]),
)


@given(st.lists(any_finding, max_size=30), st.booleans())
def test_every_finding_is_in_one_entry_of_a_block_with_its_subject(
    findings: list[Finding], fold: bool
) -> None:
    found = blocks(findings, [], fold=fold)
    grouped = [f for block in found for entry in block.entries for f in entry.findings]
    assert Counter(map(id, grouped)) == Counter(map(id, findings))
    for block in found:
        assert fold or len(block.subjects) == 1
        for entry in block.entries:
            assert {f.subject for f in entry.findings} <= set(block.subjects)
            assert len({f.code for f in entry.findings}) == 1


def test_ten_thousand_rows_are_grouped_in_seconds() -> None:
    rows = [failed_row(f"row_{n}") for n in range(10_000)]
    findings = [
        finding(r.id, f"{r.id}.onnx: {text}", code=code)
        for n, r in enumerate(rows)
        for code, text in (("LIC204", "the same"), ("ART310", f"opset {n % 7}"))
    ]
    began = time.monotonic()
    assert blocks(findings, rows)
    assert time.monotonic() - began < 5
