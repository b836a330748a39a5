# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from onnx import TensorProto, helper

from tests.support.models import model, proto
from tests.support.repository import Repository, codes, sha256


def variant(**changes: Any) -> bytes:
    """The usual model with another input or output."""
    message = proto(salt=9)
    for side, info in changes.items():
        getattr(message.graph, side)[0].CopyFrom(helper.make_tensor_value_info(*info))
    content: bytes = message.SerializeToString()
    return content


FLOAT, FLOAT16, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"input": ("features", FLOAT, ["N", 6])}, None),
        ({"input": ("features", FLOAT, [1, "any"])}, None),
        ({"input": ("features", FLOAT, None)}, None),
        ({"input": ("x", FLOAT, ["batch", 6])}, "has input x: float"),
        ({"input": ("features", UINT8, ["batch", 6])}, "has input features: uint8"),
        ({"input": ("features", FLOAT, ["batch", 5])}, "float [batch, 5]"),
        ({"input": ("features", FLOAT, ["batch", 1, 6])}, "float [batch, 1, 6]"),
        ({"input": ("features", FLOAT, [6])}, "float [6]"),
        ({"input": ("features", FLOAT, ["batch", 6, 1])}, "float [batch, 6, 1]"),
        ({"output": ("mos", FLOAT, ["batch", 1])}, "has output mos: float"),
        ({"output": ("score", FLOAT16, ["batch", 1])}, "has output score: float16"),
        ({"output": ("score", FLOAT, ["batch", 2])}, "score: float [batch, 2]"),
    ],
)
def test_an_int8_variant_must_stand_in_for_its_model(
    repository: Repository, changes: dict[str, Any], says: str | None
) -> None:
    repository.add("m")
    repository.write("m.int8.onnx", variant(**changes))
    repository.rows[0] |= {"quant_mode": "dynamic", "int8_sha256": sha256(variant(**changes))}
    report = repository.save().check()
    assert codes(report) == ([] if says is None else ["ART314"])
    if says is not None:
        assert says in report.failing[0].message


def test_an_int8_variant_without_outputs_is_described(repository: Repository) -> None:
    message = proto(salt=9)
    del message.graph.output[:]
    repository.add("m", quant_mode="dynamic", int8_sha256="")
    repository.write("m.int8.onnx", message.SerializeToString())
    messages = [f.message for f in repository.save().check().failing if f.code == "ART314"]
    assert messages == ["m.int8.onnx has no outputs; m.onnx has outputs score: float [batch, 1]"]


def test_of_several_inputs_that_differ_the_first_is_told(repository: Repository) -> None:
    def content(*widths: int) -> bytes:
        return model(inputs=[(name, w) for name, w in zip("abc", widths, strict=True)])

    repository.add("m", content(6, 6, 6))
    other = content(6, 5, 4)
    repository.write("m.int8.onnx", other)
    repository.rows[0] |= {"quant_mode": "dynamic", "int8_sha256": sha256(other)}
    (finding,) = repository.save().check().failing
    assert finding.message == (
        "m.int8.onnx has input b: float [batch, 5]; m.onnx has input b: float [batch, 6]"
    )


def test_what_cannot_be_read_is_compared_with_nothing(repository: Repository) -> None:
    repository.add("m", quant_mode="dynamic", int8_sha256="")
    repository.write("m.int8.onnx", b"no model")
    assert {f.code for f in repository.save().check().failing} == {"ART303", "REG101"}


@pytest.mark.parametrize("salt", range(6))  # of each, the digest may be above or below
def test_a_production_variant_is_another_file(repository: Repository, salt: int) -> None:
    row = repository.add_int8("q", smoke=False)
    repository.add_sidecar(row)
    repository.write("q.int8.onnx", model(salt=salt + 100))
    row["int8_sha256"] = sha256(model(salt=salt + 100))
    assert codes(repository.save().check()) == []
    repository.write("q.int8.onnx", repository.path("q.onnx").read_bytes())
    row["int8_sha256"] = row["sha256"]
    assert codes(repository.save().check()) == ["ART315"]


def test_each_further_row_of_a_file_is_told(repository: Repository) -> None:
    row = repository.add("m")
    for id in ("n", "o"):
        repository.rows.append(row | {"id": id, "sigstore_bundle": f"{id}.sigstore.json"})
    report = repository.save().check()
    assert [(f.code, f.row) for f in report.failing] == [("ART313", "n"), ("ART313", "o")]
    assert codes(repository.check("n")) == []


def test_a_second_name_of_the_same_file_is_not_its_own_file(repository: Repository) -> None:
    row = repository.add("m")
    repository.rows.append(
        row | {"id": "n", "onnx": "./m.onnx", "sigstore_bundle": "n.sigstore.json"}
    )
    assert codes(repository.save().check()) == ["ART313", "REG104"]


def test_a_row_without_a_file_shares_none(repository: Repository) -> None:
    row = repository.add("m")
    repository.rows[:0] = [{"id": "a"}, {"id": "b"}]
    assert "ART313" not in codes(repository.save().check())
    repository.rows.append(row | {"id": "n", "sigstore_bundle": "n.sigstore.json"})
    assert [f.row for f in repository.save().check().failing if f.code == "ART313"] == ["n"]


def test_aliases_can_be_deferred(repository: Repository) -> None:
    row = repository.add("m")
    repository.rows.append(row | {"id": "alias", "sigstore_bundle": "alias.sigstore.json"})
    repository.defer("ART313", ["alias"])
    assert codes(repository.save().check()) == []


def test_copies_of_a_model_are_no_matter(repository: Repository) -> None:
    same = model(salt=4)
    repository.add("a", same)
    repository.add("b", same)
    assert codes(repository.save().check()) == []


@pytest.mark.parametrize("replaced", ["m.onnx", "m.int8.onnx"])
def test_a_file_that_was_replaced_is_compared_with_nothing(
    repository: Repository, replaced: str
) -> None:
    repository.add_int8("m")
    repository.save()
    assert codes(repository.check()) == []
    repository.write(replaced, variant(input=("x", FLOAT, ["batch", 6])))
    assert codes(repository.check()) == ["ART302"]
