# SPDX-License-Identifier: Apache-2.0
"""Statements: read strictly, and written so that the reference implementation accepts them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def payload(**changes: Any) -> bytes:
    value: dict[str, Any] = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m.onnx", "digest": {"sha256": A}}],
        "predicateType": "https://example.org/v1",
        "predicate": {},
    }
    return json.dumps({k: v for k, v in (value | changes).items() if v is not ...}).encode()


def test_a_statement_says_what_is_signed_under_which_name() -> None:
    found = decode(payload())
    assert found.subjects == (Subject("m.onnx", A),)
    assert (found.digest_of("m.onnx"), found.digest_of("x")) == (A, None)
    assert (found.name_of(A), found.name_of(B)) == ("m.onnx", None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"_type": "https://in-toto.io/Statement/v0.1"},
            "_type is 'https://in-toto.io/Statement/v0",
        ),
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
        ({"subject": [{"name": "m", "digest": {"sha256": A}}] * 2}, "'m' twice"),
    ],
)
def test_a_statement_with_one_thing_wrong_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StatementError, match=message):
        decode(payload(**changes))


RIGHT: dict[str, Any] = {"name": "m.onnx", "digest": {"sha256": A}}
LIBERAL: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    "an older type": ({"_type": "https://in-toto.io/Statement/v0.1"}, ("m.onnx",), ()),
    "an unknown field": ({"more": {"a": [1]}}, ("m.onnx",), ()),
    "no predicate": ({"predicate": ...}, ("m.onnx",), ()),
    "a predicate that is null": ({"predicate": None}, ("m.onnx",), ()),
    "no name": ({"subject": [{"digest": {"sha256": A}}]}, ("",), ()),
    "an empty name": ({"subject": [{"name": "", "digest": {"sha256": A}}]}, ("",), ()),
    "a name that is null": ({"subject": [{"name": None, "digest": {"sha256": A}}]}, ("",), ()),
    "a name twice": ({"subject": [RIGHT, RIGHT]}, ("m.onnx", "m.onnx"), ()),
    "other fields of a subject": (
        {"subject": [RIGHT | {"uri": "https://x", "annotations": {"a": 1}, "mediaType": "b"}]},
        ("m.onnx",),
        (),
    ),
    "another digest in a subject": (
        {"subject": [{"name": "m", "digest": {"sha512": "x", "sha256": A}}]},
        ("m",),
        (),
    ),
    "a digest in upper case": ({"subject": [{"digest": {"sha256": A.upper()}}]}, ("",), ()),
    "a subject without SHA-256": (
        {"subject": [{"name": "c", "digest": {"gitCommit": "0" * 40}}, RIGHT]},
        ("m.onnx",),
        ("gitCommit",),
    ),
    "a subject without a digest": ({"subject": [{"name": "c"}, RIGHT]}, ("m.onnx",), ()),
    "a subject with a broken SHA-256": (
        {"subject": [{"name": "c", "digest": {"sha256": "a"}}, RIGHT]},
        ("m.onnx",),
        ("a malformed sha256",),
    ),
    "no subject with SHA-256": (
        {"subject": [{"name": "c", "digest": {"sha512": "x", "sha1": "y"}}]},
        (),
        ("sha1", "sha512"),
    ),
}


@pytest.mark.parametrize("what", LIBERAL)
def test_a_statement_by_others_is_read_as_the_specification_says(what: str) -> None:
    changes, names, unsupported = LIBERAL[what]
    found = decode(payload(**changes), foreign=True)
    assert tuple(s.name for s in found.subjects) == names
    assert {s.sha256 for s in found.subjects} <= {A}
    assert found.unsupported == unsupported


DESCRIPTORS = {"other fields of a subject", "another digest in a subject"}
"""Resource descriptors may hold more in every statement."""


@pytest.mark.parametrize("what", sorted(LIBERAL.keys() - DESCRIPTORS))
def test_a_statement_of_this_project_is_read_strictly(what: str) -> None:
    changes, _, _ = LIBERAL[what]
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
        ({"subject": [{"name": 5, "digest": {"sha256": A}}]}, "name of subject 0 is a number"),
        ({"subject": [{"name": False, "digest": {"sha256": A}}]}, "name of subject 0"),
        ({"subject": [{"digest": []}]}, "digest of subject 0"),
        ({"subject": [{"digest": {"sha256": 5}}]}, "digest of subject 0"),
    ],
)
def test_a_statement_by_others_that_the_specification_does_not_allow_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(StatementError, match=message):
        decode(payload(**changes), foreign=True)


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"_type": 1, "_type": 1}'])
def test_bytes_that_are_no_strict_json_object_are_no_statement(content: bytes) -> None:
    with pytest.raises(StatementError, match="the statement "):
        decode(content)


def test_more_subjects_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "MAX_SUBJECTS", 1)
    subjects = [{"name": n, "digest": {"sha256": A}} for n in "ab"]
    with pytest.raises(StatementError, match="more than 1 subjects"):
        decode(payload(subject=subjects))


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(names, values, min_size=1))
def test_what_is_written_is_read_again_value_for_value(predicate: dict[str, Any]) -> None:
    written = Statement(
        (Subject("m.onnx", A), Subject("é", B)), "https://example.org/v1", predicate
    )
    assert decode(encode(written)) == written


def test_integers_and_key_order_of_a_row_survive() -> None:
    predicate = {"z": 2**60 + 1, "a": 1.0, "m": {"b": 1, "a": 2}}
    encoded = encode(Statement((Subject("m", A),), "https://example.org/v1", predicate))
    assert b'{"z":1152921504606846977,"a":1.0,"m":{"b":1,"a":2}}' in encoded


@pytest.mark.parametrize(
    "broken",
    [
        Statement((), "https://example.org/v1", {}),
        Statement((Subject("m", "short"),), "https://example.org/v1", {}),
        Statement((Subject("m", A), Subject("m", B)), "https://example.org/v1", {}),
        Statement((Subject("m", A),), "", {}),
    ],
)
def test_nothing_is_written_that_would_not_be_read(broken: Statement) -> None:
    with pytest.raises(StatementError):
        encode(broken)


def test_nothing_is_written_that_the_reference_implementation_refuses() -> None:
    # in-toto-attestation wants something in the predicate; the specification does not.
    empty = Statement((Subject("m", A),), "https://example.org/v1", {})
    with pytest.raises(StatementError, match=r"in-toto-attestation does not accept the statement"):
        encode(empty)


FACTS = OnnxFacts(10, {"": 17}, (TensorSpec("x", "float", ("n", 6, None)),), (), ())


def row_predicate(**row: Any) -> dict[str, Any]:
    return predicates.registry_row(
        {"id": "m", "classification": "smoke", "opset": 17} | row,
        [SignedFile("m.onnx", "model", {"sha256": A}, 5)],
        predicates.row_source("model/registry.json", "$['models'][0]", {"id": "m", "own": 1}),
        [(Subject("m.json", B), None)],
        {"m.onnx": FACTS},
        [],
    )


def test_a_row_predicate_holds_the_row_and_what_the_models_say() -> None:
    made = predicates.statement(REGISTRY_ROW, [("m.onnx", A)], row_predicate())
    signed = signed_row(made)
    assert signed is not None
    assert (signed.id, signed.classification, signed.smoke) == ("m", "smoke", True)
    assert (signed.index, signed.verbatim) == ("model/registry.json", {"id": "m", "own": 1})
    assert signed.files == (SignedFile("m.onnx", "model", {"sha256": A}, 5),)
    assert signed.sidecars == {"m.json": B}
    assert made.predicate["models"]["m.onnx"]["inputs"] == [
        {"name": "x", "type": "float", "shape": ["n", 6, None]}
    ]
    assert made.predicate["sidecars"] == [
        {"name": "m.json", "digest": {"sha256": B}, "describes": None}
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"classification": "gold"}, "row/classification: 'gold' is not one of"),
        ({"smoke": True}, "row: Additional properties are not allowed"),
        ({"opset": "17"}, "row/opset: '17' is not of type 'integer'"),
    ],
)
def test_a_predicate_that_does_not_fit_its_schema_is_not_signed(
    row: dict[str, Any], message: str
) -> None:
    with pytest.raises(StatementError, match=f"does not match its schema: {message}"):
        predicates.statement(REGISTRY_ROW, [("m.onnx", A)], row_predicate(**row))


def test_a_statement_of_another_kind_holds_no_row() -> None:
    other = Statement((Subject("m.onnx", A),), "https://example.org/v1", row_predicate())
    older = Statement((Subject("m.onnx", A),), REGISTRY_ROW, row_predicate(), statement.OLDER_TYPE)
    odd = Statement((Subject("m.onnx", A),), REGISTRY_ROW, {"row": 5})
    assert [signed_row(s) for s in (other, older, odd, None)] == [None] * 4
    assert [malformed_row(s) for s in (other, older)] == [None, None]
    assert malformed_row(odd) is not None


@pytest.mark.parametrize("predicate_type", predicates.SCHEMAS)
def test_every_predicate_type_has_a_valid_schema(predicate_type: str) -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(predicates.schema(predicate_type))


def outcome(data: bytes, *, foreign: bool) -> Statement | str:
    try:
        found = decode(data, foreign=foreign)
    except StatementError as e:
        return str(e)
    return replace(found, predicate=dict(found.predicate))


@given(
    subjects=st.lists(
        st.sampled_from(
            [
                *(
                    f'{{"name":"{n}","digest":{{"sha256":"{A}"}}}}'
                    for n in ("a", "b", "é", "", "a\\n")
                ),
                f'{{"name":"c","digest":{{"sha256":"{A.upper()}"}}}}',
                f'{{"name":"d","digest":{{"sha1":"x","sha256":"{A}"}}}}',
                f'{{"name":"e\udcff","digest":{{"sha256":"{A}"}}}}',
                f'{{"digest":{{"sha256":"{A}"}},"name":"f"}}',
                "1",
            ]
        ),
        max_size=3,
    ),
    rest=st.sampled_from(
        ["", ',"subject":[]', ',"more":1', ',"predicate":{', ',"predicateType":"x"', ",", "]"]
    ),
    kind=st.sampled_from([statement.STATEMENT_TYPE, statement.OLDER_TYPE]),
    foreign=st.booleans(),
)
def test_a_large_statement_is_read_as_a_small_one(
    subjects: list[str], rest: str, kind: str, foreign: bool
) -> None:
    """Its subjects included, whatever is wrong with it."""
    text = (
        f'{{"_type":"{kind}","subject":[{",".join(subjects)}],"predicateType":"https://x.org/v1",'
        f'"predicate":{{"inputAttestations":[{{"uri":"u","digest":{{"sha256":"{A}"}}}}]}}{rest}}}'
    )
    data = text.encode(errors="surrogateescape")
    with pytest.MonkeyPatch.context() as patch:
        small = outcome(data, foreign=foreign)
        patch.setattr(statement, "LARGE", 0)
        large = outcome(data, foreign=foreign)
    assert large == small
    if isinstance(small, Statement) and isinstance(large, Statement):
        assert large.inputs == small.inputs == {"u": A}
