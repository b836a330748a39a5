# SPDX-License-Identifier: Apache-2.0
"""Statements: read strictly, and written so that the reference implementation accepts them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from provenance.artifacts.onnx_model import OnnxFacts, TensorSpec
from provenance.attestations import predicates, statement
from provenance.attestations.signed_row import (
    REGISTRY_ROW,
    SignedFile,
    malformed_row,
    signed_row,
)
from provenance.attestations.statement import Statement, StatementError, Subject, decode, encode
from tests.support.json_values import values

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
A, B = "a" * 64, "b" * 64
OTHER = "https://example.org/v1"
RIGHT = {"name": "m.onnx", "digest": {"sha256": A}}

Changes = dict[str, Any]


def payload(**changes: Any) -> bytes:
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [RIGHT],
        "predicateType": OTHER,
        "predicate": {},
    }
    return json.dumps({k: v for k, v in (value | changes).items() if v is not ...}).encode()


def test_a_statement_has_subjects_with_names_and_digests() -> None:
    found = decode(payload())
    assert found.subjects == (Subject("m.onnx", A),)
    assert (found.digest_of("m.onnx"), found.digest_of("x")) == (A, None)
    assert (found.name_of(A), found.name_of(B)) == ("m.onnx", None)


# --- statements of this project -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_type": statement.OLDER_TYPE}, "_type is 'https://in-toto.io/Statement/v0"),
        ({"_type": ...}, "_type is null"),
        ({"_type": "x" * 200}, "_type is a string"),
        ({"predicateType": ""}, "no predicateType"),
        ({"predicateType": 5}, "no predicateType"),
        ({"predicate": ...}, "predicate is null"),
        ({"predicate": []}, "predicate is an array"),
        ({"more": 1}, "unknown field 'more'"),
        ({"subject": ...}, "no subject"),
        ({"subject": []}, "no subject"),
        ({"subject": {}}, "no subject"),
        ({"subject": ["x"]}, "subject 0 is a string"),
        ({"subject": [{"digest": {"sha256": A}}]}, "subject 0 has no name"),
        ({"subject": [{"name": "m"}]}, "'m' has no SHA-256"),
        ({"subject": [{"name": "m", "digest": {"sha1": "0" * 40}}]}, "'m' has no SHA-256"),
        ({"subject": [{"name": "m", "digest": {"sha256": A.upper()}}]}, "64 lower-case"),
        ({"subject": [RIGHT] * 2}, "'m.onnx' twice"),
    ],
)
def test_a_statement_with_one_fault_is_refused(changes: Changes, message: str) -> None:
    with pytest.raises(StatementError, match=message):
        decode(payload(**changes))


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"_type": 1, "_type": 1}'])
def test_a_statement_is_a_strict_json_object(content: bytes) -> None:
    with pytest.raises(StatementError, match="the statement "):
        decode(content)


def test_more_subjects_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "MAX_SUBJECTS", 1)
    with pytest.raises(StatementError, match="more than 1 subjects"):
        decode(payload(subject=[RIGHT, RIGHT | {"name": "n"}]))


# --- statements of other projects -----------------------------------------------------------------

RICH = RIGHT | {"uri": "https://x", "annotations": {"a": 1}, "mediaType": "b"}
NAMELESS = {"digest": {"sha256": A}}
SHA512 = {"name": "c", "digest": {"sha512": "x", "sha1": "y"}}
BROKEN, COMMIT = ({"name": "c", "digest": {k: "0"}} for k in ("sha256", "gitCommit"))
LIBERAL: dict[str, tuple[Changes, list[str], list[str]]] = {
    "an older type": ({"_type": statement.OLDER_TYPE}, ["m.onnx"], []),
    "an unknown field": ({"more": {"a": [1]}}, ["m.onnx"], []),
    "no predicate": ({"predicate": ...}, ["m.onnx"], []),
    "a predicate that is null": ({"predicate": None}, ["m.onnx"], []),
    "no name": ({"subject": [NAMELESS]}, [""], []),
    "an empty name": ({"subject": [RIGHT | {"name": ""}]}, [""], []),
    "a name that is null": ({"subject": [RIGHT | {"name": None}]}, [""], []),
    "a name twice": ({"subject": [RIGHT, RIGHT]}, ["m.onnx", "m.onnx"], []),
    "a digest in upper case": ({"subject": [{"digest": {"sha256": A.upper()}}]}, [""], []),
    "a subject without SHA-256": ({"subject": [COMMIT, RIGHT]}, ["m.onnx"], ["gitCommit"]),
    "a subject without a digest": ({"subject": [{"name": "c"}, RIGHT]}, ["m.onnx"], []),
    "a broken SHA-256": ({"subject": [BROKEN, RIGHT]}, ["m.onnx"], ["a malformed sha256"]),
    "no SHA-256": ({"subject": [SHA512]}, [], ["sha1", "sha512"]),
    # Resource descriptors may hold more in every statement.
    "more fields": ({"subject": [RICH]}, ["m.onnx"], []),
    "more digests": (
        {"subject": [{"name": "m", "digest": {"sha512": "x", "sha256": A}}]},
        ["m"],
        [],
    ),
}


@pytest.mark.parametrize("what", LIBERAL)
def test_a_foreign_statement_is_read_as_the_specification_allows(what: str) -> None:
    changes, names, unsupported = LIBERAL[what]
    found = decode(payload(**changes), foreign=True)
    assert [s.name for s in found.subjects] == names
    assert {s.sha256 for s in found.subjects} <= {A}
    assert list(found.unsupported) == unsupported
    if not what.startswith("more "):
        with pytest.raises(StatementError):
            decode(payload(**changes, predicateType=REGISTRY_ROW), foreign=True)
        with pytest.raises(StatementError):
            decode(payload(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_type": "https://in-toto.io/Statement/v2"}, "_type is"),
        ({"predicateType": ...}, "no predicateType"),
        ({"predicate": []}, "predicate is an array"),
        ({"subject": []}, "no subject"),
        ({"subject": None}, "no subject"),
        ({"subject": ["x"]}, "subject 0 is a string"),
        ({"subject": [RIGHT | {"name": 5}]}, "name of subject 0 is a number"),
        ({"subject": [RIGHT | {"name": False}]}, "name of subject 0"),
        ({"subject": [{"digest": []}]}, "digest of subject 0"),
        ({"subject": [{"digest": {"sha256": 5}}]}, "digest of subject 0"),
    ],
)
def test_an_invalid_foreign_statement_is_refused(changes: Changes, message: str) -> None:
    with pytest.raises(StatementError, match=message):
        decode(payload(**changes), foreign=True)


# --- writing --------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(names, values, min_size=1))
def test_a_written_statement_is_read_unchanged(predicate: dict[str, Any]) -> None:
    written = Statement((Subject("m.onnx", A), Subject("é", B)), OTHER, predicate)
    assert decode(encode(written)) == written


def test_integers_and_the_order_of_keys_are_kept() -> None:
    predicate = {"z": 2**60 + 1, "a": 1.0, "m": {"b": 1, "a": 2}}
    encoded = encode(Statement((Subject("m", A),), OTHER, predicate))
    assert b'{"z":1152921504606846977,"a":1.0,"m":{"b":1,"a":2}}' in encoded


@pytest.mark.parametrize(
    ("subjects", "predicate_type", "predicate", "message"),
    [
        ([], OTHER, {"a": 1}, "no subject"),
        ([("m", "short")], OTHER, {"a": 1}, "64 lower-case"),
        ([("m", A), ("m", B)], OTHER, {"a": 1}, "'m' twice"),
        ([("m", A)], "", {"a": 1}, "no predicateType"),
        # in-toto-attestation wants something in the predicate; the specification does not.
        ([("m", A)], OTHER, {}, "in-toto-attestation does not accept the statement"),
    ],
)
def test_a_statement_that_a_reader_refuses_is_not_written(
    subjects: list[tuple[str, str]], predicate_type: str, predicate: dict[str, Any], message: str
) -> None:
    made = Statement(tuple(Subject(*subject) for subject in subjects), predicate_type, predicate)
    with pytest.raises(StatementError, match=message):
        encode(made)


# --- predicates -----------------------------------------------------------------------------------

FILE = SignedFile("m.onnx", "model", {"sha256": A}, 5)
FACTS = OnnxFacts(10, {"": 17}, (TensorSpec("x", "float", ("n", 6, None)),), (), ())


def row_predicate(**row: Any) -> dict[str, Any]:
    return predicates.registry_row(
        {"id": "m", "classification": "smoke", "opset": 17} | row,
        [FILE],
        predicates.row_source(
            "model/registry.json", "json", "$['models'][0]", {"id": "m", "own": 1}, A
        ),
        [(Subject("m.json", B), None)],
        {"m.onnx": FACTS},
        [],
    )


def test_a_row_predicate_holds_the_row_and_the_facts_of_its_models() -> None:
    made = predicates.statement(REGISTRY_ROW, [("m.onnx", A)], row_predicate())
    signed = signed_row(made)
    assert signed is not None
    assert (signed.id, signed.classification, signed.smoke) == ("m", "smoke", True)
    assert (signed.index, signed.verbatim) == ("model/registry.json", {"id": "m", "own": 1})
    assert (signed.files, signed.sidecars) == ((FILE,), {"m.json": B})
    inputs = [{"name": "x", "type": "float", "shape": ["n", 6, None]}]
    assert made.predicate["models"]["m.onnx"]["inputs"] == inputs
    sidecars = [{"name": "m.json", "digest": {"sha256": B}, "describes": None}]
    assert made.predicate["sidecars"] == sidecars


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"classification": "gold"}, "row/classification: 'gold' is not one of"),
        ({"smoke": True}, "row: Additional properties are not allowed"),
        ({"opset": "17"}, "row/opset: '17' is not of type 'integer'"),
    ],
)
def test_a_predicate_outside_its_schema_is_not_signed(row: dict[str, Any], message: str) -> None:
    with pytest.raises(StatementError, match=f"does not match its schema: {message}"):
        predicates.statement(REGISTRY_ROW, [("m.onnx", A)], row_predicate(**row))


def test_a_statement_of_another_type_holds_no_row() -> None:
    subjects = (Subject("m.onnx", A),)
    other = Statement(subjects, OTHER, row_predicate())
    older = Statement(subjects, REGISTRY_ROW, row_predicate(), statement.OLDER_TYPE)
    odd = Statement(subjects, REGISTRY_ROW, {"row": 5})
    assert [signed_row(s) for s in (other, older, odd, None)] == [None] * 4
    assert [malformed_row(s) for s in (other, older)] == [None, None]
    assert malformed_row(odd) is not None


@pytest.mark.parametrize("predicate_type", predicates.SCHEMAS)
def test_every_predicate_type_has_a_valid_schema(predicate_type: str) -> None:
    Draft202012Validator.check_schema(predicates.schema(predicate_type))


# --- large statements -----------------------------------------------------------------------------


def result(data: bytes, *, foreign: bool) -> Statement | str:
    try:
        found = decode(data, foreign=foreign)
    except StatementError as e:
        return str(e)
    return replace(found, predicate=dict(found.predicate))


SUBJECTS = [
    *(f'{{"name":"{n}","digest":{{"sha256":"{A}"}}}}' for n in ("a", "b", "é", "", "a\\n")),
    f'{{"name":"c","digest":{{"sha256":"{A.upper()}"}}}}',
    f'{{"name":"d","digest":{{"sha1":"x","sha256":"{A}"}}}}',
    f'{{"name":"e\udcff","digest":{{"sha256":"{A}"}}}}',
    f'{{"digest":{{"sha256":"{A}"}},"name":"f"}}',
    "1",
]
REST = ["", ',"subject":[]', ',"more":1', ',"predicate":{', ',"predicateType":"x"', ",", "]"]


@given(
    subjects=st.lists(st.sampled_from(SUBJECTS), max_size=3),
    rest=st.sampled_from(REST),
    kind=st.sampled_from([statement.STATEMENT_TYPE, statement.OLDER_TYPE]),
    foreign=st.booleans(),
)
def test_large_ones_are_read_alike(
    subjects: list[str], rest: str, kind: str, foreign: bool
) -> None:
    """Including its subjects, and with any fault."""
    text = (
        f'{{"_type":"{kind}","subject":[{",".join(subjects)}],"predicateType":"https://x.org/v1",'
        f'"predicate":{{"inputAttestations":[{{"uri":"u","digest":{{"sha256":"{A}"}}}}]}}{rest}}}'
    )
    data = text.encode(errors="surrogateescape")
    with pytest.MonkeyPatch.context() as patch:
        small = result(data, foreign=foreign)
        patch.setattr(statement, "LARGE", 0)
        large = result(data, foreign=foreign)
    assert large == small
    if isinstance(small, Statement) and isinstance(large, Statement):
        assert large.inputs == small.inputs == {"u": A}
