# SPDX-License-Identifier: Apache-2.0
"""SPDX expressions, and the licenses that a file of text names or is."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.artifacts import license_text, spdx
from tests.support.command import time_limit


def alternatives(*found: str) -> spdx.Alternatives:
    return frozenset(frozenset(a.split()) for a in found)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", alternatives("mit")),
        ("mit", alternatives("mit")),
        ("MIT OR Apache-2.0", alternatives("mit", "apache-2.0")),
        ("MIT AND Apache-2.0", alternatives("mit apache-2.0")),
        ("MIT AND (ISC OR Zlib)", alternatives("mit isc", "mit zlib")),
        ("GPL-2.0-only WITH Classpath-exception-2.0", alternatives("gpl-2.0")),
        ("Apache-2.0+", alternatives("apache-2.0")),
        *((f"GPL-2.0{v}", alternatives("gpl-2.0")) for v in ("", "-only", "-or-later", "+")),
    ],
)
def test_expressions_offer_alternatives(expression: str, expected: spdx.Alternatives) -> None:
    assert spdx.alternatives(expression) == expected
    assert spdx.ids_in(expression) == frozenset().union(*expected)
    assert spdx.unknown_ids(expression) == ()


IDS = ("ISC", "Zlib", "0BSD", "NCSA", "MPL-2.0", "UPL-1.0", "AFL-3.0")
INVALID = ["", "   ", "MIT AND", "((", "M" * 1001]
OTHER = ["LicenseRef-ours", "LicenseRef-ours OR MIT", "Made-Up-1.0", "MIT" + " OR MIT" * 500]


@pytest.mark.parametrize(
    "expression", [*INVALID, *OTHER, " AND ".join(f"(MIT OR {id})" for id in IDS)]
)
def test_an_invalid_or_unusual_expression_has_no_alternatives(expression: str) -> None:
    assert spdx.alternatives(expression) is None
    assert spdx.ids_in(expression) == frozenset()


def test_unknown_ids_are_named_unless_they_are_a_projects_own() -> None:
    assert spdx.unknown_ids("LicenseRef-ours AND MIT") == ()
    for made_up in ("Made-Up-1.0", "Made-Up-1.0+"):
        unknown = spdx.UnknownId(made_up, spdx.Kind.LICENSE)
        assert spdx.unknown_ids(f"{made_up} OR MIT OR {made_up}") == (unknown,)


WITH = "GPL-2.0-only WITH Classpath-exception-2.0"
MIT_AND_GPL = frozenset({"mit", "gpl-2.0-only"})


@pytest.mark.parametrize(
    ("expression", "refused"),
    [
        *((e, ()) for e in ("MIT", "mit", "MIT OR Zlib", "Zlib OR MIT", "MIT AND GPL-2.0-only")),
        ("GPL-2.0", ()),  # a former name of GPL-2.0-only
        ("(Zlib OR MIT) AND (ISC OR GPL-2.0-only)", ()),
        ("GPL-2.0+", ("GPL-2.0-or-later",)),
        ("GPL-2.0-or-later", ("GPL-2.0-or-later",)),
        *((e, (e,)) for e in (WITH, "LicenseRef-ours", "Made-Up-1.0", "NONE")),
        ("MIT AND Zlib", ("Zlib",)),
        ("Zlib OR ISC", ("Zlib", "ISC")),
        ("(Zlib OR MIT) AND ISC", ("ISC",)),
        ("Zlib AND Zlib AND MIT", ("Zlib",)),
        ("MIT AND Zlib OR ISC", ("Zlib", "ISC")),  # AND binds closer
    ],
)
def test_ids_that_are_not_permitted_are_refused(expression: str, refused: tuple[str, ...]) -> None:
    assert spdx.refused_ids(expression, MIT_AND_GPL) == refused


def test_a_permitted_id_includes_its_exception_and_version() -> None:
    names = (WITH, "LicenseRef-Ours", "Apache-2.0+")
    permitted = {spdx.single_id(name) or "" for name in names}
    for name in (*names, "apache-2.0+"):
        assert spdx.refused_ids(name, permitted) == ()


@pytest.mark.parametrize("text", INVALID)
def test_an_invalid_expression_is_an_error(text: str) -> None:
    with pytest.raises(spdx.NotAnExpressionError):
        spdx.unknown_ids(text)
    with pytest.raises(spdx.NotAnExpressionError):
        spdx.refused_ids(text, MIT_AND_GPL)


@pytest.mark.parametrize("text", ["MIT OR Zlib", "MIT AND Zlib", "Apache2", "", "(("])
def test_an_expression_of_several_or_unknown_ids_is_no_single_id(text: str) -> None:
    assert spdx.single_id(text) is None


def test_licenses_known_without_the_index_are_in_it() -> None:
    assert spdx.known_ids() >= spdx.COMMON


APACHE = (Path(__file__).parents[2] / "LICENSE").read_text("utf-8")
BSD = "LICENSE - BSD+Patent\nSPDX short identifier: BSD-2-Clause-Patent\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SPDX-License-Identifier: MIT\n", ["MIT"]),
        ("# spdx-license-identifier:   MIT OR Apache-2.0  \n", ["MIT OR Apache-2.0"]),
        ("/* SPDX-License-Identifier: MIT */", ["MIT"]),
        (BSD, ["BSD-2-Clause-Patent"]),
        ("".join(f"SPDX-License-Identifier: {i}\n" for i in ("MIT", "ISC", "MIT")), ["MIT", "ISC"]),
        ("<!-- SPDX-License-Identifier: MIT -->", []),
        *(
            (f"SPDX-License-Identifier: {found}", [])
            for found in ("<expression>", "yours", "\nMIT")
        ),
        ("SPDX-License-Identifier: " + "MIT OR " * 40 + "MIT", []),
    ],
)
def test_a_tag_names_the_license_of_a_file(text: str, expected: list[str]) -> None:
    assert list(license_text.tagged(text)) == expected


OTHER_LINES = "Copyright (c) 2026 Example\n\n" + "\n\n".join(APACHE.split("\n"))
BUSY = ["\n" * 250_000, " \n" * 125_000, "a " * 125_000, APACHE[::-1] * 20]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (APACHE, "Apache-2.0"),
        (OTHER_LINES, "Apache-2.0"),
        *((text, None) for text in ("", "Ask us.", APACHE[:5000], APACHE + APACHE, *BUSY)),
    ],
)
def test_the_text_of_a_license_is_recognised_soon(text: str, expected: str | None) -> None:
    with time_limit(5):
        assert license_text.recognised(text) == expected


def test_the_recognisable_licenses_are_those_of_the_library() -> None:
    known = license_text.recognisable()
    assert {"mit", "apache-2.0", "bsd-3-clause", "gpl-3.0"} <= known
    assert "cc-by-nc-4.0" not in known
    assert len(known) == 35  # the page of LIC206 gives this number
