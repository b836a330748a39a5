# SPDX-License-Identifier: Apache-2.0
"""License fields: what was lost, what was signed, and what an unknown id may mean."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any, Final

import pytest

from provenance import check, load_config
from provenance.artifacts import limits, spdx
from provenance.gate.finding import Finding
from tests.support.findings import listed, only
from tests.support.keys import KeyPair
from tests.support.repository import Repository, codes
from tests.support.statements import sign_again

CODES: Final = {"license": "LIC201", "license_url": "LIC202", "sigstore_bundle": "LIC203"}
"""The fields that must not be lost, and the rules that miss them."""


def since(repository: Repository, edit: Callable[[list[dict[str, Any]]], Any]) -> list[Finding]:
    """Return the findings after an edit of the rows, compared with a baseline without it."""
    repository.save()
    copy = repository.root.parent / "baseline"
    shutil.copytree(repository.root, copy)
    edit(repository.rows)
    repository.save()
    return list(check(load_config(repository.root), baseline=str(copy)).failing)


@pytest.mark.parametrize("beside", ["description", "a", "z"])
@pytest.mark.parametrize("field", CODES)
def test_lost_field_is_quoted_from_the_baseline_beside_another(
    repository: Repository, field: str, beside: str
) -> None:
    repository.rows = [{beside: "x"} | repository.add("m")]
    was = repository.rows[0][field]

    def lose(rows: list[dict[str, Any]]) -> None:
        del rows[0][beside], rows[0][field]

    found = {f.code: f for f in since(repository, lose)}
    assert found.keys() == {CODES[field], "BAS802"}
    assert found[CODES[field]].message.startswith(f"no `{field}`; ")
    assert repr(was) in found[CODES[field]].message


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0", "\u200b", "-", "…"])
@pytest.mark.parametrize("field", CODES)
def test_blank_field_is_lost_and_cannot_be_deferred(
    repository: Repository, field: str, blank: str
) -> None:
    repository.add("m")
    for rule in ("LIC204", "LIC207"):
        repository.defer(rule, ["m"])
    found = since(repository, lambda rows: rows[0].update({field: blank}))
    assert {f.code for f in found} == {CODES[field], "DEF901"}


def test_new_row_has_lost_nothing(repository: Repository) -> None:
    repository.add("m")
    new = repository.add("new")
    repository.rows.remove(new)
    del new["license"]
    (finding,) = since(repository, lambda rows: rows.append(new))
    assert (finding.code, finding.message) == ("LIC201", "no `license`")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (None, "BAS801 m"),
        ("BAS801", "ART311"),  # the row is gone on purpose, and its file is not
        ("ART311", "BAS801 m, DEF901"),
        *((rule, "BAS801 m, DEF902") for rule in ("BAS802", "ART310", "SID402")),
    ],
)
def test_file_of_a_lost_row_is_reported_with_the_row(
    repository: Repository, rule: str | None, expected: str
) -> None:
    repository.add("m")
    repository.add("n")
    if rule:
        repository.defer(rule, ["m"])
    assert listed(since(repository, lambda rows: rows.pop(0))) == expected


@pytest.mark.parametrize(("more", "valid"), [(0, True), (1, False)])
def test_expression_of_the_limit_is_read(repository: Repository, more: int, valid: bool) -> None:
    prefix = "LicenseRef-"
    repository.add("m", license=prefix + "a" * (spdx.MAX_EXPRESSION - len(prefix) + more))
    messages = [f.message for f in repository.save().check().failing]
    too_long = f"`license` has {spdx.MAX_EXPRESSION + 1:,} characters; the limit is 1,000"
    assert messages == ([] if valid else [too_long])


@pytest.mark.parametrize(
    "license",
    [
        "Apache-2.0 WITH LLVM-exception",
        "apache-2.0 with llvm-exception",
        "GPL-2.0-or-later WITH Classpath-exception-2.0",
        "GPL-2.0-with-classpath-exception",  # deprecated: a license with its exception
        "Apache-2.0 WITH AdditionRef-ours",
        "Apache-2.0 WITH DocumentRef-x:AdditionRef-ours",
        "MIT+ WITH LLVM-exception",
        "LicenseRef-ours WITH LLVM-exception",
        "LicenseRef-BSD-3",
        "LicenseRef-3.x-a",
        "DocumentRef-x:LicenseRef-y",
        "LicenseRef-scancode-mit",
    ],
)
def test_valid_expression_is_accepted(repository: Repository, license: str) -> None:
    repository.add("m", license=license)
    assert codes(repository.save().check()) == []


NO_EXCEPTION: Final = "expected an exception, found a license"
NO_ID: Final = "is not an id of a license"
OWN_ID: Final = "expected `LicenseRef-` and letters, digits,"
OWN_APACHE: Final = "or LicenseRef-Apache-2.0 for a license"
NO_SIMILAR: Final = "'Nope' is not on the SPDX exception list, and no id is similar"
LOOK_UP: Final = "Look it up at https://spdx.org/licenses/, or write LicenseRef-"
SIMILAR: Final = "'Apache-2' is not on the SPDX license list; the most similar id is 'Apache-2.0'"


@pytest.mark.parametrize(
    ("license", "message", "help"),
    [
        ("MIT WITH MIT", f"{NO_EXCEPTION}: 'MIT'", "after WITH"),
        ("GPL-3.0-only WITH ISC", f"{NO_EXCEPTION}: 'ISC'", "join licenses with AND"),
        ("LLVM-exception", "expected a license, found an exception: 'LLVM-exception'", ""),
        ("MIT WITH LicenseRef-x", "'LicenseRef-x' is not an id of an exception", "AdditionRef-"),
        ("LicenseRef-", f"'LicenseRef-' {NO_ID}", "Write an id: https://"),
        ("LicenseRef-a b", f"'LicenseRef-a b' {NO_ID}", "Write LicenseRef-a-b for"),
        ("LicenseRef-BSD_3", OWN_ID, "Write LicenseRef-BSD-3 "),
        ("DocumentRef-x", f"'DocumentRef-x' {NO_ID}", "LicenseRef-DocumentRef-x for"),
        ("Apache 2.0", "the most similar id is 'Apache-2.0'", OWN_APACHE),
        (
            "Apache-2.0 WITH LLVM-exceptoin",
            "'LLVM-exceptoin' is not on the SPDX exception list; "
            "the most similar id is 'LLVM-exception'",
            "Write LLVM-exception if that is the exception, or AdditionRef-LLVM-exceptoin for an",
        ),
        ("MIT WITH Nope", NO_SIMILAR, "AdditionRef-"),
        ("GPLv3", "no id is similar", LOOK_UP),
        ("Apache-2 AND MIIT", SIMILAR, ""),  # the first one is named
    ],
)
def test_unknown_id_is_reported_with_a_suggestion(
    repository: Repository, license: str, message: str, help: str
) -> None:
    repository.add("m", license=license)
    finding = only(repository.save().check())
    assert finding.code == "LIC204"
    assert message in finding.message
    assert help in finding.help


@pytest.mark.parametrize("name", ["Apache 2.0", "a_b", "LicenseRef-a b", "x" * 100, "ünlike", "…"])
@pytest.mark.parametrize("kind", spdx.Kind)
def test_suggested_id_is_valid(name: str, kind: spdx.Kind) -> None:
    own = spdx.own_id(name, kind)
    if own is None:
        assert name == "…"
    else:
        lead = "" if kind is spdx.Kind.LICENSE else "MIT WITH "
        assert spdx.unknown_ids(lead + own) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing that is known", "the most similar id is 'Apache-2.0'"),
        ("SPDX-License-Identifier: ISC\n", "model/LICENSE in this repository is ISC"),
        (
            "SPDX-License-Identifier: ISC\nSPDX-License-Identifier: MIT\n",
            "the most similar id is 'Apache-2.0'",
        ),
    ],
)
def test_license_file_of_one_license_is_suggested(
    repository: Repository, text: str, says: str
) -> None:
    repository.add("m", license="Apache-2", license_url="LICENSE")
    repository.write("LICENSE", text)
    message = only(repository.save().check(), "LIC204").message
    assert message == f"'Apache-2' is not on the SPDX license list; {says}"


def test_missing_license_file_is_reported_after_a_large_one(repository: Repository) -> None:
    repository.add("m", license_url="LICENSE")
    repository.add("n", license_url="GONE")
    with repository.write("LICENSE", "").open("ab") as stream:
        stream.truncate(limits.LICENSE + 1)
    assert listed(repository.save().check().failing) == "LIC207 n"


@pytest.mark.parametrize(
    ("licenses", "differs"),
    [
        (["MIT OR Apache-2.0", "Apache-2.0", "MIT", "mit"], False),
        (["MIT OR Apache-2.0", "Apache-2.0", "ISC"], True),
        (["LicenseRef-ours", "LicenseRef-Ours"], False),
        (["LicenseRef-ours", "LicenseRef-theirs"], True),
        (["a b", "A B"], False),  # words that are not an expression
        (["a b", "A B", "c d"], True),
        (["c d", "C D", "a b"], True),
    ],
)
def test_licenses_of_the_same_bytes_are_compared_with_the_first(
    repository: Repository, licenses: list[str], differs: bool
) -> None:
    for index, license in enumerate(licenses):
        repository.add(f"m{index}", b"same", license=license)
    found = [f.row for f in repository.save().check().failing if f.code == "LIC208"]
    assert found == ([f"m{len(licenses) - 1}"] if differs else [])


@pytest.mark.parametrize("field", ["license", "license_url"])
@pytest.mark.parametrize("signed", ["nothing", None])
def test_field_that_was_signed_as_null_is_not_a_field_that_was_not_signed(
    repository: Repository, key: KeyPair, field: str, signed: str | None
) -> None:
    repository.add("m")
    repository.released()

    def edit(statement: Any) -> None:
        del statement["predicate"]["row"][field]
        verbatim = statement["predicate"]["source"]["verbatim"]
        verbatim[field] = None
        if signed == "nothing":
            del verbatim[field]

    sign_again(repository.root / "bundles" / "m.onnx.sigstore.json", key, edit)
    for now in ("nothing", None):
        repository.rows[0][field] = None
        if now == "nothing":
            del repository.rows[0][field]
        assert ("LIC205" in codes(repository.save().verify("m"))) is (now != signed)
