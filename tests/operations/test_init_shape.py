# SPDX-License-Identifier: Apache-2.0
"""Which file is the registry, and what it calls its fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts.paths import Tree
from provenance.operations.adoption.shape import Shape, registries, shapes_of
from tests.support.spellings import SPELLINGS

DIGESTS = [f"{i:064x}" for i in range(9)]


def row(index: int = 0, **fields: Any) -> dict[str, Any]:
    """A row of a registry of another shape."""
    return {
        "name": f"model {index}",
        "file": f"m{index}.onnx",
        "digest": DIGESTS[index],
    } | fields


def found(root: Path, value: Any, name: str = "catalogue.json") -> list[Shape]:
    (root / name).write_text(json.dumps(value))
    return list(shapes_of(Tree.at(root), name))


def one(root: Path, *rows: dict[str, Any], **beside: Any) -> Shape:
    (shape,) = found(root, {**beside, "entries": list(rows)} if beside else list(rows))
    return shape


def test_a_registry_of_this_projects_own_shape_needs_no_names(tmp_path: Path) -> None:
    rows = [{"id": "m", "onnx": "m.onnx", "sha256": DIGESTS[0], "kind": "fr", "notes": "x.onnx"}]
    (shape,) = found(tmp_path, {"models": rows})
    assert (shape.names.rows, shape.names.renamed, shape.unsure) == ("models", {}, {})
    assert (shape.stock, shape.complete, shape.rows) == (True, True, 1)


def test_a_list_is_read_by_its_values(tmp_path: Path) -> None:
    shape = one(
        tmp_path,
        *(
            row(
                i,
                bundle=f"sig/m{i}.sigstore.json",
                weights={f"m{i}.data": DIGESTS[i]},
                licence="MIT",
                licence_url="https://example.org/LICENSE",
                onnx_opset=17,
                placeholder=False,
                type="fr",
                authors=["a", "b"],
            )
            for i in range(3)
        ),
    )
    assert shape.names.rows == "."
    assert dict(shape.names.renamed) == {
        "onnx": "file",
        "sha256": "digest",
        "external_data_sha256": "weights",
        "id": "name",
        "kind": "type",
        "opset": "onnx_opset",
        "smoke": "placeholder",
        "license_url": "licence_url",
        "license": "licence",
        "sigstore_bundle": "bundle",
    }
    assert (shape.unsure, shape.stock, shape.complete) == ({}, False, True)


def test_rows_may_stand_under_any_key(tmp_path: Path) -> None:
    assert one(tmp_path, row(), version=2).names.rows == "entries"


def test_a_field_of_this_projects_name_is_that_field(tmp_path: Path) -> None:
    shape = one(tmp_path, row(0, id="m", sha256=DIGESTS[5]))
    assert dict(shape.names.renamed) == {"onnx": "file"}


@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_digest_is_known_in_every_spelling(tmp_path: Path, spell: Callable[[str], str]) -> None:
    shape = one(tmp_path, row(0, digest=spell(DIGESTS[5])))
    assert shape.names.of("sha256") == "digest"


def test_the_digest_of_the_int8_variant_is_not_that_of_the_model(tmp_path: Path) -> None:
    shape = one(tmp_path, row(0, int8_digest=DIGESTS[5]), row(1))
    assert shape.names.of("sha256") == "digest"
    assert shape.names.of("int8_sha256") == "int8_digest"


def test_among_several_the_usual_name_decides(tmp_path: Path) -> None:
    shape = one(tmp_path, row(0, source=DIGESTS[5], exported_from="a.onnx", title="one"))
    assert shape.names.of("sha256") == "digest"
    assert shape.names.of("onnx") == "file"
    assert shape.names.of("id") == "name"


def test_among_several_unusual_names_none_is_chosen(tmp_path: Path) -> None:
    rows = [
        {"a": f"a{i}.onnx", "b": f"b{i}.onnx", "c": DIGESTS[i], "d": DIGESTS[i + 3], "e": str(i)}
        for i in range(2)
    ]
    shape = one(tmp_path, *rows)
    assert dict(shape.unsure) == {"onnx": ("a", "b"), "sha256": ("c", "d")}
    assert dict(shape.names.renamed) == {"id": "e"}
    assert shape.complete


@pytest.mark.parametrize(
    "extra",
    [
        {"codename": "x"},  # the same for each row
        {"page": "https://example.org"},
        {"checked": DIGESTS[8]},
    ],
)
def test_an_id_is_of_one_row_alone_and_no_address_or_digest(
    tmp_path: Path, extra: dict[str, Any]
) -> None:
    rows = [{"file": f"m{i}.onnx", "digest": DIGESTS[i], "who": f"m{i}"} | extra for i in range(2)]
    assert one(tmp_path, *rows).names.of("id") == "who"


def test_a_field_that_not_each_row_has_is_known_by_the_rows_that_have_it(tmp_path: Path) -> None:
    shape = one(tmp_path, row(0, bundle="m0.onnx.sigstore.json"), row(1))
    assert shape.names.of("sigstore_bundle") == "bundle"


def test_a_value_of_another_kind_makes_it_another_field(tmp_path: Path) -> None:
    shape = one(tmp_path, row(0, bundle="m0.onnx.sigstore.json"), row(1, bundle="none yet"))
    assert "sigstore_bundle" not in shape.names.renamed


@pytest.mark.parametrize(
    "value",
    [
        [{"file": "a.onnx"}, {"file": "readme.md"}],
        {"m": {"file": "a.onnx", "digest": DIGESTS[0]}},
        {"id": "e", "members": [{"id": "s0", "onnx": "a.onnx", "sha256": DIGESTS[0]}]},
        ["a.onnx"],
        "a.onnx",
        {"models": []},
    ],
    ids=["files", "by-id", "ensemble", "names", "text", "empty"],
)
def test_what_does_not_list_models_is_no_registry(tmp_path: Path, value: Any) -> None:
    assert found(tmp_path, value) == []


@pytest.mark.parametrize("text", ["{", "[.onnx", '"\\ud800.onnx"', "\ufeff[]"])
def test_what_is_no_json_is_no_registry(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert list(shapes_of(Tree.at(tmp_path), "x.json")) == []


def test_folders_of_tools_are_not_looked_into(tmp_path: Path) -> None:
    for folder in (".cache", "node_modules", "model"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "r.json").write_text(json.dumps([row()]))
    assert [s.path for s in registries(Tree.at(tmp_path))] == ["model/r.json"]


def test_what_only_the_values_tell_is_not_certain_and_is_named(tmp_path: Path) -> None:
    rows = [
        row(
            i,
            ops=17,
            demo=False,
            terms="https://example.org/LICENSE",
            purpose="quality" if i else "probe",
            spelt="MIT OR Apache-2.0",
            **({"q8_checksum": DIGESTS[8]} if i == 2 else {}),
        )
        for i in range(3)
    ]
    shape = one(tmp_path, *rows)
    assert dict(shape.names.renamed) == {"onnx": "file", "sha256": "digest", "id": "name"}
    assert dict(shape.unsure) == {
        "int8_sha256": ("q8_checksum",),
        "kind": ("purpose",),
        "opset": ("ops",),
        "smoke": ("demo",),
        "license_url": ("terms",),
        "license": ("spelt",),
    }


@pytest.mark.parametrize(
    "extra",
    [
        {"year": 2026},
        {"ratio": 0.5},
        {"title": "the same"},
        {"summary": "a model of mine"},
        {"tags": ["a"]},
    ],
)
def test_values_that_fit_no_field_are_the_registrys_own(
    tmp_path: Path, extra: dict[str, Any]
) -> None:
    assert one(tmp_path, row(0, **extra), row(1, **extra)).unsure == {}


def test_a_registry_of_this_projects_shape_has_fields_of_its_own(tmp_path: Path) -> None:
    mine = {"id": "m", "onnx": "m.onnx", "sha256": DIGESTS[0], "reviewed": True, "version": 3}
    (shape,) = found(tmp_path, {"models": [mine]})
    assert shape.unsure == {}
