# SPDX-License-Identifier: Apache-2.0
"""License fields: what was lost, what was signed, and what an unknown id may mean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from provenance import check, load_config
from provenance.artifacts import limits, spdx
from provenance.gate.finding import Finding
from tests.support.keys import KeyPair
from tests.support.repository import Repository, codes
from tests.support.statements import sign_again


def since(repository: Repository, edit: Any) -> list[Finding]:
    """The findings after an edit of the rows, against a baseline without it."""
    repository.save()
    copy = repository.root.parent / "baseline"
    shutil.copytree(repository.root, copy)
    edit(repository.rows)
    repository.save()
    return list(check(load_config(repository.root), baseline=str(copy)).failing)


@pytest.mark.parametrize("beside", ["description", "notes", "a", "z"])
@pytest.mark.parametrize("field", ["license", "license_url", "sigstore_bundle"])
def test_a_lost_field_is_put_back_from_the_baseline_whatever_else_was_lost(
    repository: Repository, field: str, beside: str
) -> None:
    repository.rows = [{beside: "x"} | repository.add("m")]
    was = repository.rows[0][field]

    def lose(rows: list[dict[str, Any]]) -> None:
        del rows[0][beside], rows[0][field]

    code = {"license": "LIC201", "license_url": "LIC202", "sigstore_bundle": "LIC203"}[field]
    found = {f.code: f for f in since(repository, lose)}
    assert found.keys() == {code, "BAS802"}
    assert found[code].message.startswith(f"no `{field}`; ")
    assert repr(was) in found[code].message


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0", "\u200b", "-", "…"])
@pytest.mark.parametrize(
    ("field", "code"),
    [("license", "LIC201"), ("license_url", "LIC202"), ("sigstore_bundle", "LIC203")],
)
def test_a_text_that_says_nothing_is_a_lost_field_and_cannot_be_deferred(
    repository: Repository, field: str, code: str, blank: str
) -> None:
    repository.add("m")
    for rule in ("LIC204", "LIC207"):
        repository.defer(rule, ["m"])

    def lose(rows: list[dict[str, Any]]) -> None:
        rows[0][field] = blank

    found = since(repository, lose)
    assert {f.code for f in found} == {code, "DEF901"}


def test_a_new_row_has_lost_nothing(repository: Repository) -> None:
    repository.add("m")
    new = repository.add("new")
    repository.rows.remove(new)
    del new["license"]
    (finding,) = since(repository, lambda rows: rows.append(new))
    assert (finding.code, finding.message) == ("LIC201", "no `license`")


@pytest.mark.parametrize(("length", "readable"), [(0, True), (1, False)])
def test_an_expression_has_an_end(repository: Repository, length: int, readable: bool) -> None:
    license = "LicenseRef-" + "a" * (spdx.MAX_EXPRESSION - len("LicenseRef-") + length)
    repository.add("m", license=license)
    found = [f.message for f in repository.save().check().failing]
    told = f"`license` has {spdx.MAX_EXPRESSION + 1:,} characters; the limit is 1,000"
    assert found == ([] if readable else [told])


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
def test_what_spdx_allows_is_an_expression(repository: Repository, license: str) -> None:
    repository.add("m", license=license)
    assert codes(repository.save().check()) == []


@pytest.mark.parametrize(
    ("license", "says", "help"),
    [
        ("MIT WITH MIT", "expected an exception, found a license: 'MIT'", "after WITH"),
        (
            "GPL-3.0-only WITH ISC",
            "expected an exception, found a license: 'ISC'",
            "join licenses with AND",
        ),
        ("LLVM-exception", "expected a license, found an exception: 'LLVM-exception'", ""),
        ("MIT WITH LicenseRef-x", "'LicenseRef-x' is not an id of an exception", "AdditionRef-"),
        ("LicenseRef-", "'LicenseRef-' is not an id of a license", "Write an id: https://"),
        (
            "LicenseRef-a b",
            "'LicenseRef-a b' is not an id of a license",
            "Write LicenseRef-a-b for",
        ),
        (
            "LicenseRef-BSD_3",
            "expected `LicenseRef-` and letters, digits,",
            "Write LicenseRef-BSD-3 ",
        ),
        (
            "DocumentRef-x",
            "'DocumentRef-x' is not an id of a license",
            "LicenseRef-DocumentRef-x for",
        ),
        (
            "Apache 2.0",
            "the most similar id is 'Apache-2.0'",
            "or LicenseRef-Apache-2.0 for a license",
        ),
        (
            "Apache-2.0 WITH LLVM-exceptoin",
            "'LLVM-exceptoin' is not on the SPDX exception list; "
            "the most similar id is 'LLVM-exception'",
            "Write LLVM-exception if that is the exception, or AdditionRef-LLVM-exceptoin for an",
        ),
        (
            "MIT WITH Nope",
            "'Nope' is not on the SPDX exception list, and no id is similar",
            "AdditionRef-",
        ),
        (
            "GPLv3",
            "no id is similar",
            "Look it up at https://spdx.org/licenses/, or write LicenseRef-",
        ),
    ],
)
def test_an_unknown_id_is_reported_with_a_suggestion(
    repository: Repository, license: str, says: str, help: str
) -> None:
    repository.add("m", license=license)
    (finding,) = repository.save().check().failing
    assert finding.code == "LIC204"
    assert says in finding.message
    assert help in finding.help


@pytest.mark.parametrize("name", ["Apache 2.0", "a_b", "LicenseRef-a b", "x" * 100, "ünlike", "…"])
@pytest.mark.parametrize("kind", spdx.Kind)
def test_an_id_of_ones_own_that_is_suggested_is_one(name: str, kind: spdx.Kind) -> None:
    own = spdx.own_id(name, kind)
    if own is None:
        assert name == "…"
    else:
        lead = "" if kind is spdx.Kind.LICENSE else "MIT WITH "
        assert spdx.unknown_ids(lead + own) == ()


def test_the_first_id_that_is_not_on_the_list_is_named(repository: Repository) -> None:
    repository.add("m", license="Apache-2 AND MIIT")
    (finding,) = repository.save().check().failing
    assert (
        finding.message
        == "'Apache-2' is not on the SPDX license list; the most similar id is 'Apache-2.0'"
    )


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
def test_the_license_file_says_which_is_meant_where_it_holds_one(
    repository: Repository, text: str, says: str
) -> None:
    repository.add("m", license="Apache-2", license_url="LICENSE")
    repository.write("LICENSE", text)
    found = [f for f in repository.save().check().failing if f.code == "LIC204"]
    assert [f.message for f in found] == [f"'Apache-2' is not on the SPDX license list; {says}"]


def test_a_missing_license_file_is_reported_after_one_that_is_too_large(
    repository: Repository,
) -> None:
    repository.add("m", license_url="LICENSE")
    repository.add("n", license_url="GONE")
    with repository.write("LICENSE", "").open("ab") as stream:
        stream.truncate(limits.LICENSE + 1)
    found = [(f.code, f.row) for f in repository.save().check().failing]
    assert found == [("LIC207", "n")]


@pytest.mark.parametrize(("one", "other"), [("a b", "c d"), ("c d", "a b")])
def test_licenses_that_are_no_expressions_agree_where_they_are_the_same_words(
    repository: Repository, one: str, other: str
) -> None:
    repository.add("m", license=one)
    same = repository.path("m.onnx").read_bytes()
    repository.add("n", same, license=one.upper())
    repository.add("o", same, license=other)
    found = [(f.code, f.row) for f in repository.save().check().failing if f.code == "LIC208"]
    assert found == [("LIC208", "o")]


@pytest.mark.parametrize("field", ["license", "license_url"])
@pytest.mark.parametrize("signed", ["nothing", None])
def test_a_license_that_was_signed_as_nothing_is_not_a_license_that_was_not_signed(
    repository: Repository, key: KeyPair, field: str, signed: str | None
) -> None:
    repository.add("m")
    repository.released()

    def edit(statement: Any) -> None:
        del statement["predicate"]["row"][field]
        verbatim = statement["predicate"]["source"]["verbatim"]
        if signed is None:
            verbatim[field] = None
        else:
            del verbatim[field]

    sign_again(repository.root / "bundles" / "m.onnx.sigstore.json", key, edit)
    for now in ("nothing", None):
        if now is None:
            repository.rows[0][field] = None
        else:
            repository.rows[0].pop(field, None)
        found = codes(repository.save().verify("m"))
        assert ("LIC205" in found) is (now != signed)


def lost_with(repository: Repository, rule: str) -> list[str]:
    repository.add("m")
    repository.add("n")
    repository.defer(rule, ["m"])
    found = since(repository, lambda rows: rows.pop(0))
    return [f.code for f in found]


def test_the_file_of_a_removed_row_is_reported_with_the_row(repository: Repository) -> None:
    repository.add("m")
    repository.add("n")
    assert [f.code for f in since(repository, lambda rows: rows.pop(0))] == ["BAS801"]


def test_the_file_of_a_row_that_is_gone_on_purpose_is_a_stray(repository: Repository) -> None:
    assert lost_with(repository, "BAS801") == ["ART311"]


@pytest.mark.parametrize("rule", ["ART311", "BAS802", "ART310", "SID402"])
def test_a_deferral_of_another_rule_says_nothing_of_a_row_that_is_gone(
    repository: Repository, rule: str
) -> None:
    found = lost_with(repository, rule)
    assert "BAS801" in found
    assert "ART311" not in found
    assert json.loads(Path(repository.registry).read_text("utf-8"))["models"][0]["id"] == "n"
