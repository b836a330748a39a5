# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from provenance.artifacts import spdx


def offered(*alternatives: str) -> spdx.Alternatives:
    return frozenset(frozenset(a.split()) for a in alternatives)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", offered("mit")),
        ("mit", offered("mit")),
        ("MIT OR Apache-2.0", offered("mit", "apache-2.0")),
        ("MIT AND Apache-2.0", offered("mit apache-2.0")),
        ("MIT AND (ISC OR Zlib)", offered("mit isc", "mit zlib")),
        ("GPL-2.0-only WITH Classpath-exception-2.0", offered("gpl-2.0")),
        ("Apache-2.0+", offered("apache-2.0")),
    ],
)
def test_an_expression_offers_its_alternatives(expression: str, expected: object) -> None:
    assert spdx.alternatives(expression) == expected
    assert spdx.unknown_ids(expression) == ()


@pytest.mark.parametrize("id", ["GPL-2.0", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-2.0+"])
def test_ids_of_one_text_are_one_license(id: str) -> None:
    assert spdx.ids_in(id) == {"gpl-2.0"}


@pytest.mark.parametrize(
    "expression",
    [
        "LicenseRef-ours",
        "LicenseRef-ours OR MIT",
        "Made-Up-1.0",
        "",
        "   ",
        "MIT AND",
        "((",
        "MIT" + " OR MIT" * 500,
        " AND ".join(
            f"(MIT OR {id})"
            for id in ("ISC", "Zlib", "0BSD", "NCSA", "MPL-2.0", "UPL-1.0", "AFL-3.0")
        ),
    ],
)
def test_of_what_is_no_plain_expression_nothing_is_known(expression: str) -> None:
    assert spdx.alternatives(expression) is None
    assert spdx.ids_in(expression) == frozenset()


def test_unknown_ids_are_named_and_own_ones_are_not() -> None:
    assert spdx.unknown_ids("LicenseRef-ours AND MIT") == ()
    for made_up in ("Made-Up-1.0", "Made-Up-1.0+"):
        unknown = spdx.UnknownId(made_up, spdx.Kind.LICENSE)
        assert spdx.unknown_ids(f"{made_up} OR MIT OR {made_up}") == (unknown,)


@pytest.mark.parametrize("text", ["", "MIT AND", "((", "M" * 1001])
def test_nonsense_is_no_expression(text: str) -> None:
    with pytest.raises(spdx.NotAnExpressionError):
        spdx.unknown_ids(text)


WITH = "GPL-2.0-only WITH Classpath-exception-2.0"
MIT_AND_GPL = frozenset({"mit", "gpl-2.0-only"})


@pytest.mark.parametrize(
    ("expression", "refused"),
    [
        ("MIT", ()),
        ("mit", ()),
        ("GPL-2.0", ()),  # a former name of GPL-2.0-only
        ("GPL-2.0+", ("GPL-2.0-or-later",)),
        ("GPL-2.0-or-later", ("GPL-2.0-or-later",)),
        (WITH, (WITH,)),
        ("MIT OR Zlib", ()),
        ("Zlib OR MIT", ()),
        ("MIT AND GPL-2.0-only", ()),
        ("MIT AND Zlib", ("Zlib",)),
        ("Zlib OR ISC", ("Zlib", "ISC")),
        ("(Zlib OR MIT) AND (ISC OR GPL-2.0-only)", ()),
        ("(Zlib OR MIT) AND ISC", ("ISC",)),
        ("Zlib AND Zlib AND MIT", ("Zlib",)),
        ("MIT AND Zlib OR ISC", ("Zlib", "ISC")),  # AND binds closer
        ("LicenseRef-ours", ("LicenseRef-ours",)),
        ("Made-Up-1.0", ("Made-Up-1.0",)),
        ("NONE", ("NONE",)),
    ],
)  # fmt: skip
def test_what_is_permitted_follows_from_or_and_and(
    expression: str, refused: tuple[str, ...]
) -> None:
    assert spdx.refused_ids(expression, MIT_AND_GPL) == refused


def test_licenses_that_were_named_with_all_they_have_are_permitted() -> None:
    names = (WITH, "LicenseRef-Ours", "Apache-2.0+")
    permitted = {spdx.single_id(name) or "" for name in names}
    for name in (*names, "apache-2.0+"):
        assert spdx.refused_ids(name, permitted) == ()


@pytest.mark.parametrize("text", ["", "MIT AND", "((", "M" * 1001])
def test_nonsense_is_permitted_by_nothing(text: str) -> None:
    with pytest.raises(spdx.NotAnExpressionError):
        spdx.refused_ids(text, MIT_AND_GPL)


@pytest.mark.parametrize("text", ["MIT OR Zlib", "MIT AND Zlib", "Apache2", "", "(("])
def test_one_license_is_named_at_a_time(text: str) -> None:
    assert spdx.single_id(text) is None


def test_licenses_known_without_the_index_are_in_it() -> None:
    assert spdx.known_ids() >= spdx.COMMON
