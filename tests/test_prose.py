# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from scripts.check_prose import ALLOWED, MARKS, Allowed, check, count

PYTHON = [
    ("# It is none.", ["1: is none"]),
    ("# It is\n# none.", ["1: is none"]),
    ("x = 1  # Nobody's\n", ["1: nobody"]),
    (
        '"""Is none of\n\n    them. Whoever\n    says\n    so."""',
        ["1: is none", "3: whoever", "4: says so"],
    ),
    ("x = 'there is ' \\\n    'none'", ["1: is none"]),
    ("x = (\n    'which '  # don't\n    'is '\n    f'none {x}')", ["3: is none"]),
    (
        'x = f\'{{who}} is told {x["nobody"]} {y or "nobody"}.\'',
        ["1: is told", "1: nobody", "1: nobody"],
    ),
    ("x = 'ä is told' + 'no matter: é'", ["1: is told", "1: no matter"]),
    ("x = 'a b\\nnobody'", ["1: nobody"]),
    ("x = 'nobody'", ["1: nobody"]),
    ("nobody = somebody.whoever(told_of, says, so)", []),
    ("x = y is None  # if it is None", []),
    ("x = rows['nobody_knows']", []),
    ("x = y.is_none, 'nobody@example.org'.nobody", []),
    ("# `nobody` and ``is told`` are users", []),
    ('"""Return `somebody\n    else`.\n\n    ```sh\n    whoever\n    ```\n    """', []),
    ("x = f'`{x}` is none of `{y}`'", ["1: is none"]),
    ("x = f'{nobody} {x:>{whoever}}'", []),
    ("this_is = none = 'is', 'none'", []),
]
MARKDOWN = [
    ("# Whoever\n\nIt is\nnone, says  so.", ["1: whoever", "3: is none", "4: says so"]),
    ("Nobody, somebody, whoever", ["1: nobody", "1: somebody", "1: whoever"]),
    ("are none is told told of", ["1: are none", "1: is told", "1: told of"]),
    ("nobodyx xnobody is Noneish is nonempty tellsaysso", []),
    ("`nobody` ``no`matter``\n\n```sh\nnobody\n```\n\n- a\n  ~~~\n  nobody\n  ~~~\n", []),
    ("[a](nobody) <!-- nobody -->", []),
    ("[nobody](a)", ["1: nobody"]),
    ("an odd ` and nobody\n\nand another ` here", ["1: nobody"]),
]


def found(root: Path, name: str, text: str, *allowed: Allowed) -> list[str]:
    """Return the line and phrase of each match in a file, for a root that has no other."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    start = f"{name}:"
    return [":".join(m.removeprefix(start).split(":")[:2]) for m in check(root, allowed)]


@pytest.mark.parametrize(("text", "expected"), PYTHON)
def test_marks_in_python(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert found(tmp_path, "provenance/module.py", text) == expected


@pytest.mark.parametrize(("text", "expected"), MARKDOWN)
def test_marks_in_markdown(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert found(tmp_path / "root", "README.md", text) == expected
    assert found(tmp_path / "folder", "docs/page.md", text) == expected


def test_a_match_is_printed_with_its_line(tmp_path: Path) -> None:
    found(tmp_path, "docs/page.md", "\n  Where\n  there\n  is none.\n")
    assert check(tmp_path) == ["docs/page.md:4: is none: is none."]


def test_an_allowed_phrase_is_not_reported(tmp_path: Path) -> None:
    allowed = Allowed("docs/page.md", "nobody", "a user name")
    assert found(tmp_path, "docs/page.md", "nobody\nwhoever", allowed) == ["2: whoever"]
    assert found(tmp_path, "docs/page.md", "Nobody", allowed) == []


def test_an_allowed_phrase_that_is_gone_is_reported(tmp_path: Path) -> None:
    assert check(tmp_path, [Allowed("docs/page.md", "nobody", "a user name")]) == [
        "docs/page.md: nobody: in ALLOWED, but not in the file"
    ]


def test_every_allowed_phrase_is_a_mark_with_a_reason() -> None:
    assert [entry for entry in ALLOWED if entry.phrase not in MARKS or not entry.reason] == []


def test_marks_are_counted_by_folder(tmp_path: Path) -> None:
    found(tmp_path, "docs/page.md", "Nobody knows `the code` of it.")
    assert [line.split() for line in count(tmp_path)][1:3] == [
        ["provenance", "0", "0", "0.00"],
        ["docs", "1", "4", "250.00"],
    ]
