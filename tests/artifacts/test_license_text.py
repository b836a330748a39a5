# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from pathlib import Path

import pytest

from provenance.artifacts import license_text

OURS = (Path(__file__).parents[2] / "LICENSE").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SPDX-License-Identifier: MIT\n", ("MIT",)),
        ("# spdx-license-identifier:   MIT OR Apache-2.0  \n", ("MIT OR Apache-2.0",)),
        ("/* SPDX-License-Identifier: MIT */", ("MIT",)),
        ("<!-- SPDX-License-Identifier: MIT -->", ()),
        (
            "LICENSE - BSD+Patent\nSPDX short identifier: BSD-2-Clause-Patent\n",
            ("BSD-2-Clause-Patent",),
        ),
        (
            "".join(f"SPDX-License-Identifier: {id}\n" for id in ("MIT", "ISC", "MIT")),
            ("MIT", "ISC"),
        ),
        ("SPDX-License-Identifier: <expression>", ()),
        ("SPDX-License-Identifier: yours", ()),
        ("SPDX-License-Identifier:\nMIT", ()),
        ("SPDX-License-Identifier: " + "MIT OR " * 40 + "MIT", ()),
    ],
)
def test_a_file_may_name_its_license(text: str, expected: tuple[str, ...]) -> None:
    assert license_text.tagged(text) == expected


def test_a_text_is_known_whatever_its_holder_and_its_line_breaks() -> None:
    assert license_text.recognised(OURS) == "Apache-2.0"
    words = "Copyright (c) 2026 Somebody\n\n" + "\n\n".join(OURS.split("\n"))
    assert license_text.recognised(words) == "Apache-2.0"


@pytest.mark.parametrize("text", ["", "Ask us.", OURS[:5000], OURS + OURS])
def test_a_text_that_nobody_knows_is_no_license(text: str) -> None:
    assert license_text.recognised(text) is None


@pytest.mark.parametrize("text", ["\n" * 250_000, " \n" * 125_000, "a " * 125_000, OURS[::-1] * 20])
def test_a_text_that_is_made_to_keep_its_reader_busy_is_read_soon(text: str) -> None:
    start = time.monotonic()
    assert license_text.recognised(text) is None
    assert time.monotonic() - start < 5


def test_the_known_licenses_are_those_of_the_library() -> None:
    known = license_text.recognisable()
    assert {"mit", "apache-2.0", "bsd-3-clause", "gpl-3.0"} <= known
    assert "cc-by-nc-4.0" not in known
    assert len(known) == 35  # the page of LIC206 says so
