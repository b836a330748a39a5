# SPDX-License-Identifier: Apache-2.0
"""Mutations of a correct registry, each with exactly the findings that follow.

Each line is one change of a file of `tests/support/production.py`, and its findings: the codes,
with `+` between those of one row, the row if there is one, and the number if it is not one. No
other finding may appear.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from onnx import TensorProto

from provenance import check, load_config, verify
from provenance.errors import InputError
from provenance.output import machine
from tests.support.cases import dsse_bundle
from tests.support.engines import InRandomOrder, in_units
from tests.support.keys import KeyPair
from tests.support.models import External
from tests.support.mutations import (
    Change,
    append,
    content,
    copy,
    cut,
    describe,
    drop,
    exchange,
    flip,
    lengthen,
    link,
    move,
    of,
    put,
    reexport,
    remove,
    rename,
    reverse,
    shorten,
    swap,
    text,
    together,
)
from tests.support.production import INPUTS, PLCC, late, production, seed_model
from tests.support.repository import sha256

Line = tuple[str, Change, str]

ZERO: Final = "0" * 64
ROW: Final = ("models", "s1")
MEMBER: Final = ("members", "s1")
DATA: Final = (*ROW, "external_data_sha256")
PLCCS: Final = ("gate", "per_seed_plccs")
VARIANT: Final = ("models", "variant", "int8_sha256")


def _both(*changes: Change) -> Change:
    """Make several changes of one file."""

    def change(path: Path) -> None:
        for one in changes:
            one(path)

    return change


def _keep_data(location: str, **options: Any) -> Change:
    """Export `s1` with its data in another file, or in another part of it."""
    return reexport(1, external=External(location, **options))


def _takes_doubles(graph: Any) -> None:
    graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def _gives_two(graph: Any) -> None:
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2


def _says_no_shape(graph: Any) -> None:
    graph.output[0].type.tensor_type.ClearField("shape")


def _one_output_more(graph: Any) -> None:
    graph.output.add().CopyFrom(graph.output[0])
    graph.output[1].name = "sigma"


def _in_upper_case(path: Path) -> None:
    """The digest of `s1` in upper case."""
    rows = json.loads(path.read_text())["models"]
    put(*ROW, "sha256", to=next(r for r in rows if r["id"] == "s1")["sha256"].upper())(path)


def _in_upper_case_with_data(path: Path) -> None:
    """The digests of `s1` and of its data in upper case."""
    rows = json.loads(path.read_text())["models"]
    covered = next(r for r in rows if r["id"] == "s1")["external_data_sha256"]
    put(*DATA, to={n: d.upper() for n, d in covered.items()})(path)
    _in_upper_case(path)


def _row_of_variant(path: Path) -> None:
    """A row of its own for the int8 variant of `quant`, whose sidecar is that row's."""
    rows = json.loads(path.read_text())["models"]
    row = next(row for row in rows if row["id"] == "quant") | {
        "id": "variant",
        "onnx": "quant.int8.onnx",
        "sigstore_bundle": "../bundles/variant.sigstore.json",
        "smoke": True,
    }
    put("models", len(rows), to=row | {"sha256": row["int8_sha256"]})(path)
    put("id", to="variant")(path.parent / "quant.int8.json")


SCHEMA: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string"},
        "schema_version": {"enum": [0, 1]},
        "models": {"type": "array", "items": {"$ref": "#/$defs/row"}},
    },
    "$defs": {
        "row": {
            "required": ["id", "kind", "onnx", "sha256", "license", "sigstore_bundle"],
            "properties": {
                "id": {"pattern": "^[a-z0-9_]+$"},
                "kind": {"enum": ["fr", "nr"]},
                "onnx": {"pattern": "^[a-z0-9_]+\\.onnx$"},
                "sha256": {"pattern": "^[0-9a-f]{64}$"},
                "opset": {"type": "integer", "maximum": 17},
                "notes": {"type": "string", "maxLength": 512},
                "license": {"type": "string", "minLength": 1},
                "mine": False,
            },
        }
    },
}


def _under_schema(*changes: Change, schema: Any = SCHEMA) -> Change:
    """Changes of a registry that names a schema."""
    write = content(json.dumps(schema).encode())
    named = put("$schema", to="./registry.schema.json")
    return together(
        *(("registry.json", change) for change in (named, *changes)),
        ("registry.schema.json", write),
    )


UNDER_SCHEMA: Final[list[Line]] = [
    ("nothing", _under_schema(), ""),
    ("long notes", _under_schema(put(*ROW, "notes", to="x" * 513)), "REG114 s1"),
    ("notes that are no string", _under_schema(put(*ROW, "notes", to=1)), "REG101 s1"),
    ("another kind", _under_schema(put(*ROW, "kind", to="filter")), "REG114+SID408 s1"),
    ("no kind", _under_schema(drop(*ROW, "kind")), "REG114 s1"),
    ("a field that is not allowed", _under_schema(put(*ROW, "mine", to=1)), "REG114 s1"),
    ("a member that is not known", _under_schema(put("extra", to=1)), "REG114"),
    ("another version", _under_schema(put("schema_version", to=3)), "REG114"),
    ("no digest", _under_schema(drop(*ROW, "sha256")), "REG101 s1"),
    ("a digest that is cut off", _under_schema(shorten(*ROW, "sha256")), "REG101 s1"),
    ("a digest in upper case", _under_schema(_in_upper_case), "REG114 s1"),
    (
        "a digest in upper case, and that of its data",
        _under_schema(_in_upper_case_with_data),
        "REG114+REG115 s1",
    ),
    ("no license", _under_schema(drop(*ROW, "license")), "LIC201 s1"),
    ("an empty license", _under_schema(put(*ROW, "license", to="")), "LIC201 s1"),
    ("another opset", _under_schema(put(*ROW, "opset", to=18)), "ART310 s1"),
    ("a model outside", _under_schema(put(*ROW, "onnx", to="../../s1.onnx")), "REG107 s1"),
    ("a row that is a number", _under_schema(put("models", 0, to=1)), "REG101 #0, ENS501"),
    ("a schema that is not JSON", _under_schema(schema="{"), ""),
    (
        "a schema at a URL",
        together(("registry.json", put("$schema", to="https://example.org/s.json"))),
        "",
    ),
    ("a schema that is gone", together(("registry.json", put("$schema", to="gone.json"))), ""),
]


MUTATIONS: Final[dict[str, list[Line]]] = {
    "registry.json": [
        *((f"under a schema: {name}", change, found) for name, change, found in UNDER_SCHEMA),
        ("the id is gone", drop(*ROW, "id"), "REG101 #1"),
        ("the id is another", put(*ROW, "id", to="s_one"), "ENS501 s_one"),
        ("the id is that of another row", put(*ROW, "id", to="s0"), "ENS501+REG102 s0"),
        ("the id is a number", put(*ROW, "id", to=1), "REG101 #1"),
        ("the file is gone", drop(*ROW, "onnx"), "REG101 s1"),
        ("the file is of another row", put(*ROW, "onnx", to="s0.onnx"), "ART302 s1"),
        ("the file is of a later row", put("models", "s0", "onnx", to="s1.onnx"), "ART302 s0"),
        ("the file is misspelt", put(*ROW, "onnx", to="s_1.onnx"), "ART301 s1"),
        ("an int8 variant has its own row", _row_of_variant, ""),
        (
            "an int8 variant with its own row is another",
            _both(_row_of_variant, put(*VARIANT, to=ZERO)),
            "ART302 variant",
        ),
        ("the file is in a folder", put(*ROW, "onnx", to="./s1.onnx"), "REG104 s1"),
        ("the file is outside", put(*ROW, "onnx", to="../../s1.onnx"), "REG107 s1"),
        ("the digest is gone", drop(*ROW, "sha256"), "REG101 s1"),
        ("the digest is another", put(*ROW, "sha256", to=ZERO), "ART302 s1"),
        ("the digest is cut off", shorten(*ROW, "sha256"), "REG101 s1"),
        ("the digest is in upper case", _in_upper_case, "REG115 s1"),
        ("the digest is null", put(*ROW, "sha256", to=None), "REG101 s1"),
        ("the digest has another name", rename(*ROW, "sha256", to="sha"), "REG101 s1"),
        ("two digests are swapped", swap(*ROW, other="s2", field="sha256"), "ART302 s1, ART302 s2"),
        ("the data has no digest", drop(*DATA), "ART306 s1"),
        ("the data has another digest", put(*DATA, "s1.onnx.data", to=ZERO), "ART302 s1"),
        ("the data has another name", rename(*DATA, "s1.onnx.data", to="s1.data"), "ART306 s1"),
        ("the data has a string as digest", put(*DATA, to="s1.onnx.data"), "REG101 s1"),
        ("the digest of the data is malformed", put(*DATA, "s1.onnx.data", to="zz"), "REG101 s1"),
        ("the opset is another", put(*ROW, "opset", to=18), "ART310 s1"),
        ("the opset is a string", put(*ROW, "opset", to="17"), "REG101 s1"),
        ("the kind is gone", drop(*ROW, "kind"), ""),
        ("the license is gone", drop(*ROW, "license"), "LIC201 s1"),
        ("the license is empty", put(*ROW, "license", to=""), "LIC201 s1"),
        ("the license is misspelt", put(*ROW, "license", to="MITT"), "LIC204 s1"),
        ("the license is null", put(*ROW, "license", to=None), "REG101 s1"),
        ("the license URL is gone", drop(*ROW, "license_url"), "LIC202 s1"),
        ("the license is nowhere", put(*ROW, "license_url", to="LICENSE"), "LIC207 s1"),
        ("the bundle is gone", drop(*ROW, "sigstore_bundle"), "LIC203 s1"),
        (
            "the bundle is outside",
            put(*ROW, "sigstore_bundle", to="../../s1.sigstore.json"),
            "REG107 s1",
        ),
        ("two bundles are swapped", swap(*ROW, other="s2", field="sigstore_bundle"), ""),
        (
            "two rows have one bundle",
            put(*ROW, "sigstore_bundle", to="../bundles/s0.onnx.sigstore.json"),
            "REG108 s1",
        ),
        ("the bundle is the model", put(*ROW, "sigstore_bundle", to="s1.onnx"), "REG101 s1"),
        ("the bundle is before the file", reverse(*ROW), "REG105 s1"),
        ("one of the seeds is smoke", put(*ROW, "smoke", to=True), "ENS509"),
        ("smoke is gone: unclaimed", drop(*ROW, "smoke"), "ENS509"),
        ("smoke is a string", put(*ROW, "smoke", to="false"), "REG101 s1"),
        ("a placeholder is production", put("models", "probe", "smoke", to=False), "SID401 probe"),
        ("the int8 digest is gone", drop("models", "quant", "int8_sha256"), "ART308 quant"),
        (
            "the int8 digest is another",
            put("models", "quant", "int8_sha256", to=ZERO),
            "ART302 quant",
        ),
        ("quant_mode is gone", drop("models", "quant", "quant_mode"), ""),
        (
            "quant_mode without a variant",
            put("models", "plain", "quant_mode", to="static"),
            "ART301 plain",
        ),
        ("a row is gone", drop(*ROW), "ENS501"),
        ("a row is there twice", lengthen("models"), "REG102 probe"),
        ("a row is a string", put("models", 1, to="s1"), "ENS501, REG101 #1"),
        ("the rows are in another order", reverse("models"), ""),
        ("two rows are swapped", swap(*ROW, other="quant"), ""),
        ("a key is there twice", text('"id": "s1",', '"id": "s1", "id": "s1",'), "REG103 s1"),
        ("no row is left", put("models", to=[]), "ART311 x4, ENS501 x3"),
    ],
    "ens.json": [
        ("the manifest is gone", remove(), "SID407 s0, SID407 s1, SID407 s2"),
        ("the manifest is cut off", cut(0.5), "ENS519"),
        ("the manifest is empty", content(b"{}\n"), "ENS519"),
        ("the manifest has another name", move("ensemble.json"), ""),
        ("the manifest is there twice", copy("ens_copy.json"), "ENS518"),
        ("the id is gone", drop("id"), "ENS518"),
        ("the id is another", put("id", to="ens_v2"), "ENS518"),
        ("the members are gone", drop("members"), "ENS519"),
        ("the members are an object", put("members", to={"s0": {}}), "ENS519"),
        ("the file of a member is no member's", put(*MEMBER, "onnx", to="plain.onnx"), "ENS501 s1"),
        ("no member is left", put("members", to=[]), "ENS503 s0, ENS503 s1, ENS503 s2"),
        ("a member is gone", drop(*MEMBER), "ENS503 s1"),
        ("a member is there twice", lengthen("members"), "ENS502"),
        ("a member is a string", put("members", 1, to="s1.onnx"), "ENS501"),
        (
            "a member has no row",
            put("members", 3, to={"id": "s3", "onnx": "s3.onnx", "seed": 3, "sha256": ZERO}),
            "ENS501",
        ),
        ("the members are in another order", reverse("members"), ""),
        ("the id of a member is gone", drop(*MEMBER, "id"), ""),
        ("the id of a member is another", put(*MEMBER, "id", to="s_one"), "ENS501 s1"),
        ("the id of a member is another's", put(*MEMBER, "id", to="s0"), "ENS501 s1"),
        ("two ids are swapped", swap(*MEMBER, other="s2", field="id"), "ENS501 s1, ENS501 s2"),
        ("the file of a member is gone", drop(*MEMBER, "onnx"), "ENS501 s1"),
        ("the file of a member is misspelt", put(*MEMBER, "onnx", to="s_1.onnx"), "ENS501 s1"),
        ("the file of a member is another's", put(*MEMBER, "onnx", to="s0.onnx"), "ENS501 s1"),
        ("two files are swapped", swap(*MEMBER, other="s2", field="onnx"), "ENS501 s1, ENS501 s2"),
        ("the seed of a member is gone", drop(*MEMBER, "seed"), "ENS506 s1"),
        ("the seed of a member is another", put(*MEMBER, "seed", to=7), "ENS506 s1"),
        ("the seed of a member is the next one's", put(*MEMBER, "seed", to=2), "ENS502"),
        ("the seed of a member is a string", put(*MEMBER, "seed", to="1"), "ENS506 s1"),
        ("two seeds are swapped", swap(*MEMBER, other="s2", field="seed"), "ENS506 s1, ENS506 s2"),
        ("the digest of a member is gone", drop(*MEMBER, "sha256"), "ENS504 s1"),
        ("the digest of a member is another", put(*MEMBER, "sha256", to=ZERO), "ENS504 s1"),
        *(
            (
                f"the digest of a member is {digest[0]}… and its row names another file",
                together(
                    ("registry.json", put(*ROW, "onnx", to="s0.onnx")),
                    ("ens.json", put(*MEMBER, "sha256", to=digest)),
                ),
                "ART302+ENS501+ENS504 s1",
            )
            for digest in (ZERO, "f" * 64)
        ),
        ("the digest of a member is a list", put(*MEMBER, "sha256", to=[]), "ENS504 s1"),
        (
            "two digests are swapped",
            swap(*MEMBER, other="s2", field="sha256"),
            "ENS504 s1, ENS504 s2",
        ),
        ("the size is gone", drop("ensemble_size"), ""),
        ("the size is another", put("ensemble_size", to=5), "ENS505"),
        ("the size is a string", put("ensemble_size", to="3"), "ENS505"),
        ("the size is true", put("ensemble_size", to=True), "ENS505"),
        ("a codec is gone", shorten("codec_vocab"), "ENS507"),
        ("a codec is another", put("codec_vocab", 0, to="libx264"), "ENS508"),
        ("the codecs are in another order", reverse("codec_vocab"), "ENS508"),
        ("the vocabulary is of another version", put("codec_vocab_version", to=2), "ENS508"),
        ("a feature is gone", shorten("feature_order"), "ENS507"),
        ("two features are swapped", swap("feature_order", 0, other=1), "ENS508"),
        ("a mean is another", put("feature_mean", 0, to=0.7), "ENS515"),
        ("a mean is gone", shorten("feature_mean"), "ENS515"),
        ("two means are swapped", swap("feature_mean", 0, other=5), "ENS515"),
        ("a mean is a string", put("feature_mean", 0, to="0.9488"), "ENS515"),
        ("a deviation is another", put("feature_std", 5, to=6.3), "ENS515"),
        ("a deviation is 0", put("feature_std", 0, to=0), "ENS515"),
        ("a deviation is negative", put("feature_std", 0, to=-0.0483), "ENS515"),
        ("the opset is another", put("opset", to=18), "ENS507"),
        ("the opset is a string", put("opset", to="17"), "ENS507"),
        ("the opset is a list", put("opset", to=[17]), "ENS507"),
        ("a codec is a number", put("codec_vocab", 0, to=264), "ENS507"),
        ("the manifest says smoke", put("smoke", to=True), "ENS509"),
        ("smoke is a string", put("smoke", to="false"), "ENS509"),
        ("the corpus is another", put("corpus", "sha256", to=ZERO), "ENS514"),
        ("the corpus is no digest", shorten("corpus", "sha256"), "ENS514"),
        ("the codecs are a string", put("codec_vocab", to="x264"), "ENS507"),
        ("the features are an object", put("feature_order", to={"adm2": 0}), "ENS507"),
        ("the number of codecs is a string", put("num_codecs", to="9"), "ENS507"),
        ("the means are a string", put("feature_mean", to="0.9"), "ENS515"),
        ("the gate is a list", put("gate", to=[]), "ENS511"),
        ("the gate was passed, in words", put("gate", "passed", to="yes"), "ENS511"),
        ("the id is a number", put("id", to=1), "ENS518"),
        ("the id of a member is a number", put(*MEMBER, "id", to=1), "ENS501 s1"),
        ("the id of a member is an object", put(*MEMBER, "id", to={}), "ENS501 s1"),
        ("the file of a member is a list", put(*MEMBER, "onnx", to=["s1.onnx"]), "ENS501 s1"),
        ("the gate says HOLD", put("gate", "verdict", to="HOLD"), "ENS511"),
        ("the gate was not passed", put("gate", "passed", to=False), "ENS511"),
        ("the mean of the gate is another", put("gate", "mean_plcc", to=0.99), "ENS512"),
        ("the mean of the gate fails", put("gate", "mean_plcc", to=0.94), "ENS511"),
        ("a threshold is another", put("gate", "mean_plcc_threshold", to=0.9), "ENS512"),
        ("a threshold is not reached", put("gate", "mean_plcc_threshold", to=0.999), "ENS511"),
    ],
    "ens_PROMOTE.json": [
        ("the verdict is gone", remove(), "ENS510"),
        ("the verdict is cut off", cut(0.5), "ENS519"),
        ("the verdict is of another ensemble", move("other_PROMOTE.json"), "ENS510"),
        ("there are two verdicts", copy("ens_PROMOTE_2.json"), "ENS510"),
        ("the word is gone", drop("verdict"), "ENS519"),
        ("the word is HOLD", put("verdict", to="HOLD"), "ENS511"),
        ("the word is misspelt", put("verdict", to="PROMOTED"), "ENS511"),
        ("the word is in lower case", put("verdict", to="promote"), "ENS511"),
        ("the word is a flag", put("verdict", to=True), "ENS519"),
        ("the gate is gone", drop("gate"), "ENS519"),
        ("the gate is a list", put("gate", to=[]), "ENS519"),
        ("the ensemble is another", put("ensemble_id", to="other"), "ENS512"),
        ("the ensemble is a number", put("ensemble_id", to=1), "ENS512"),
        ("the ensemble is not named", drop("ensemble_id"), ""),
        ("a seed is gone", shorten("seeds"), "ENS511"),
        ("a seed is another", put("seeds", 0, to=7), "ENS511"),
        ("the seeds are a string", put("seeds", to="0, 1, 2"), "ENS511"),
        ("the seeds are in another order", reverse("seeds"), ""),
        ("the numbers are gone", drop(*PLCCS), "ENS511"),
        ("the number of a seed is gone", drop(*PLCCS, "1"), "ENS511"),
        ("the number of a seed is another", put(*PLCCS, "1", to=0.9981), "ENS511"),
        ("the number of a seed fails", put(*PLCCS, "1", to=0.91), "ENS511"),
        ("the number of a seed is a string", put(*PLCCS, "1", to="0.9971"), "ENS511"),
        ("the number of a seed is null", put(*PLCCS, "1", to=None), "ENS511"),
        ("two numbers are swapped", swap(*PLCCS, "1", other="2"), "ENS512 s1, ENS512 s2"),
        ("a number is under another seed", rename(*PLCCS, "1", to="7"), "ENS511"),
        ("the mean is another", put("gate", "mean_plcc", to=0.9985), "ENS511"),
        ("the mean is gone", drop("gate", "mean_plcc"), ""),
        ("the spread is another", put("gate", "plcc_spread", to=0.0002), "ENS511"),
        ("the mean threshold is lower", put("gate", "mean_plcc_threshold", to=0.9), "ENS512"),
        ("the mean threshold is higher", put("gate", "mean_plcc_threshold", to=0.999), "ENS511"),
        ("the mean threshold is gone", drop("gate", "mean_plcc_threshold"), "ENS511"),
        ("the seed threshold is lower", put("gate", "per_seed_min", to=0.5), "ENS512"),
        ("the seed threshold is higher", put("gate", "per_seed_min", to=0.9975), "ENS511"),
        ("the seed threshold is a string", put("gate", "per_seed_min", to="0"), "ENS511"),
        ("the spread limit is wider", put("gate", "plcc_spread_max", to=0.5), "ENS512"),
        ("the spread limit is passed", put("gate", "plcc_spread_max", to=0.0001), "ENS511"),
        ("it was not passed", put("gate", "passed", to=False), "ENS511"),
        ("it was passed, in words", put("gate", "passed", to="true"), "ENS511"),
        ("a seed failed", put("gate", "failing_seeds", to=[1]), "ENS511"),
        ("the failing seeds are a number", put("gate", "failing_seeds", to=0), "ENS511"),
        ("a condition failed", put("gate", "per_seed_pass", to=False), "ENS511"),
        ("a condition is a number", put("gate", "mean_plcc_pass", to=1), "ENS511"),
        ("the corpus is null", put("corpus", "sha256", to=None), "ENS514"),
        ("the corpus is gone", drop("corpus"), "ENS514"),
        ("the corpus is another", put("corpus", "sha256", to=ZERO), "ENS514"),
        ("the corpus is no digest", shorten("corpus", "sha256"), "ENS514"),
    ],
    "s1.json": [
        ("the sidecar is gone", remove(), "SID401 s1"),
        ("the sidecar is cut off", cut(0.5), "SID405 s1"),
        ("the sidecar is another's", of("s2.json"), "SID404 s1"),
        ("two sidecars are swapped", exchange("s2.json"), "SID404 s1, SID404 s2"),
        ("the sidecar has another name", move("s1_old.json"), "SID401 s1"),
        ("the sidecar is a list", content(b"[]\n"), "SID405 s1"),
        ("a key is there twice", text('"seed": 1', '"seed": 1,\n "seed": 1'), "SID405 s1"),
        ("a number is NaN", text('"seed": 1', '"seed": NaN'), "SID405 s1"),
        ("the digest is gone", drop("sha256"), "SID404 s1"),
        ("the digest is another", put("sha256", to=ZERO), "SID404 s1"),
        ("the digest is a list", put("sha256", to=[]), "SID404 s1"),
        ("the id is another", put("id", to="s_one"), "SID408 s1"),
        ("the id is another member's", put("id", to="s2"), "SID408 s1"),
        ("the id is a number", put("id", to=1), "SID408 s1"),
        ("the kind is another", put("kind", to="nr"), "SID408 s1"),
        ("the file is another", put("onnx", to="s2.onnx"), "SID408 s1"),
        ("the file is a list", put("onnx", to=["s1.onnx"]), "SID408 s1"),
        ("the opset is another", put("opset", to=18), "SID413 s1"),
        ("the opset is a string", put("opset", to="17"), "SID413 s1"),
        ("the opset is an object", put("opset", to={"": 17}), "SID413 s1"),
        ("the license is another", put("license", to="Apache-2.0"), "SID408 s1"),
        ("the placeholder's flag is left", put("smoke", to=True), "SID408 s1"),
        ("an output has another name", put("output_names", 0, to="vmaf"), "SID410 s1"),
        ("an output is not there", put("output_names", 1, to="sigma"), "SID410 s1"),
        ("the shape is another", put("input_shapes", to=[[-1, 6], [-1, 9]]), "SID411 s1"),
        ("the type is another", put("input_dtypes", to=["float32", "int64"]), "SID412 s1"),
        ("the ensemble is another", put("ensemble_id", to="ens_v0"), "ENS518 s1"),
        ("the ensemble is a number", put("ensemble_id", to=1), "ENS518 s1"),
        ("the ensemble is not named", drop("ensemble_id"), ""),
        ("the seed is another", put("seed", to=7), "ENS506 s1"),
        ("the seed is another member's", put("seed", to=2), "ENS506 s1"),
        ("the seed is gone", drop("seed"), "SID407 s1"),
        ("the seed is a string", put("seed", to="1"), "SID407 s1"),
        ("the recipe is gone", drop("training_recipe"), "SID407 s1"),
        ("the recipe is of another width", put("training_recipe", "num_codecs", to=7), "SID403 s1"),
        ("an encoder is gone", shorten("encoder_vocab"), "SID403 s1"),
        ("the encoders are gone", drop("encoder_vocab"), "ENS508 s1"),
        ("two encoders are swapped", swap("encoder_vocab", 0, other=1), "SID403 s1"),
        ("an entry of the layout is gone", shorten("codec_block_layout"), "SID403 s1"),
        ("two entries of it are swapped", swap("codec_block_layout", 0, other=1), "SID403 s1"),
        (
            "vocabulary and layout are in another order",
            _both(swap("encoder_vocab", 0, other=1), swap("codec_block_layout", 0, other=1)),
            "ENS508 s1",
        ),
        ("the vocabulary is of another version", put("encoder_vocab_version", to=2), "ENS508 s1"),
        ("a feature is gone", shorten("feature_order"), "SID403 s1"),
        ("the features are gone", drop("feature_order"), "ENS508 s1"),
        ("two features are swapped", swap("feature_order", 0, other=1), "ENS508 s1"),
        ("the inputs are in another order", reverse("input_names"), "SID410 s1"),
        ("an input has another name", put("input_names", 0, to="x"), "SID410 s1"),
        ("a mean is another", put("feature_mean", 0, to=0.7), "ENS515 s1"),
        ("two means are swapped", swap("feature_mean", 0, other=5), "ENS515 s1"),
        ("a deviation is another", put("feature_std", 0, to=0.05), "ENS515 s1"),
        ("a mean is gone", shorten("feature_mean"), "SID414 s1"),
        ("a mean is a string", put("feature_mean", 0, to="0.9"), "SID414 s1"),
        ("the means are an object", put("feature_mean", to={}), "SID414 s1"),
        ("the means are a string", put("feature_mean", to="0.9"), "SID414 s1"),
        ("the means are one number", put("feature_mean", to=0.9), "SID414 s1"),
        ("a mean is a list", put("feature_mean", 0, to=[0.9]), "SID414 s1"),
        ("the means are gone", drop("feature_mean"), "SID414 s1"),
        ("the deviations are gone", drop("feature_std"), "SID414 s1"),
        ("the statistics are gone", _both(drop("feature_mean"), drop("feature_std")), "ENS515 s1"),
        ("a deviation is 0", put("feature_std", 0, to=0), "SID414 s1"),
        ("a deviation is negative", put("feature_std", 0, to=-0.0483), "SID414 s1"),
        ("a deviation is too much", lengthen("feature_std"), "SID414 s1"),
        ("a feature is there twice", put("feature_order", 1, to="adm2"), "SID416 s1"),
        ("an encoder is there twice", put("encoder_vocab", 1, to="x264"), "SID403 s1"),
        ("the corpus is another", put("corpus", "sha256", to=ZERO), "ENS514 s1"),
        ("the corpus is null", put("corpus", "sha256", to=None), "ENS514 s1"),
        ("the corpus is gone", drop("corpus"), "ENS514 s1"),
        ("the corpus is no digest", shorten("corpus", "sha256"), "SID407 s1"),
        ("the gate says HOLD", put("gate", "verdict", to="HOLD"), "ENS511 s1"),
        ("the gate was not passed", put("gate", "passed", to=False), "ENS511 s1"),
        ("the gate was passed, in words", put("gate", "passed", to="true"), "ENS511 s1"),
        ("the gate was passed, in numbers", put("gate", "passed", to=1), "ENS511 s1"),
        ("the verdict is a flag", put("gate", "verdict", to=True), "ENS511 s1"),
        ("the gate is a string", put("gate", to="PROMOTE"), "ENS511 s1"),
        ("the mean at its top is a string", put("loso_mean_plcc", to="0.9975"), "ENS516 s1"),
        ("the encoders are an object", put("encoder_vocab", to={"x264": 0}), "SID403 s1"),
        ("an encoder is a number", put("encoder_vocab", 0, to=0), "SID403 s1"),
        ("the layout is a string", put("codec_block_layout", to="x264"), "SID403 s1"),
        ("the features are a string", put("feature_order", to="adm2"), "SID403 s1"),
        ("a feature is a number", put("feature_order", 0, to=2), "SID403 s1"),
        ("an entry of the layout is a number", put("codec_block_layout", 0, to=0), "SID403 s1"),
        (
            "the recipe has a string as width",
            put("training_recipe", "num_codecs", to="9"),
            "SID403 s1",
        ),
        ("the recipe is a string", put("training_recipe", to="recipe.yaml"), "SID407 s1"),
        ("the inputs are a string", put("input_names", to="features"), "SID410 s1"),
        ("no input is named", put("input_names", to=[]), "SID410 s1"),
        ("a shape is a string", put("input_shapes", to=["1x6", [1, 9]]), "SID411 s1"),
        ("the shapes are a number", put("input_shapes", to=6), "SID411 s1"),
        ("a type is a number", put("input_dtypes", to=[1, 1]), "SID412 s1"),
        ("the corpus digest is a number", put("corpus", "sha256", to=0), "SID407 s1"),
        ("the path of the corpus is a list", put("corpus", "path", to=[]), "SID407 s1"),
        ("the mean is another", put("gate", "mean_plcc", to=0.9985), "ENS512 s1"),
        ("the mean fails", put("gate", "mean_plcc", to=0.94), "ENS511 s1"),
        ("the mean is a string", put("gate", "mean_plcc", to="0.9975"), "ENS511 s1"),
        ("its own number is another", put("gate", "this_seed_loso_plcc", to=0.9985), "ENS512 s1"),
        ("its own number fails", put("gate", "this_seed_loso_plcc", to=0.91), "ENS511 s1"),
        (
            "its own number is another member's",
            put("gate", "this_seed_loso_plcc", to=PLCC["2"]),
            "ENS512 s1",
        ),
        ("its own number is gone", drop("gate", "this_seed_loso_plcc"), "ENS511 s1"),
        ("the mean is another, at its top", put("loso_mean_plcc", to=0.9985), "ENS512 s1"),
        ("the mean at its top is its own", put("loso_mean_plcc", to=PLCC["1"]), ""),
        ("the spread is another", put("gate", "plcc_spread", to=0.0002), "ENS512 s1"),
        ("the spread fails", put("gate", "plcc_spread", to=0.006), "ENS511 s1"),
        ("a threshold is lower", put("gate", "per_seed_min_threshold", to=0.5), "ENS512 s1"),
        ("a threshold is a string", put("gate", "per_seed_min_threshold", to="0.5"), "ENS511 s1"),
        ("the gate is gone", drop("gate"), ""),
    ],
    "plain.json": [
        ("the gate was not passed, above", put("gate_passed", to=False), "ENS511 plain"),
        ("the gate below failed", put("training", "gate_passed", to=False), "ENS511 plain"),
        (
            "the gate was not passed, in both",
            _both(put("gate_passed", to=False), put("training", "gate_passed", to=False)),
            "ENS517 plain",
        ),
        ("the gate was passed, in words", put("gate_passed", to="yes"), "ENS511 plain"),
        ("the mean is another, above", put("loso_mean_plcc", to=0.9985), "ENS516 plain"),
        ("a mean is another, below", put("training", "loso_mean_plcc", to=0.9985), "ENS516 plain"),
        ("a fold is gone", drop("training", "loso_folds", 1), "ENS516 plain"),
        ("a fold is another", put("training", "loso_folds", 1, "plcc", to=0.9975), "ENS516 plain"),
        ("a fold is null", put("training", "loso_folds", 1, "plcc", to=None), "ENS516 plain"),
        ("the folds are in another order", reverse("training", "loso_folds"), ""),
        ("the folds are an object", put("training", "loso_folds", to={}), "ENS516 plain"),
        ("the least is another", put("training", "loso_min_plcc", to=0.9973), "ENS516 plain"),
        ("the deviation is another", put("training", "loso_std_plcc", to=0.01), "ENS516 plain"),
        ("the limit is lower", put("training", "ship_gate_mean_plcc", to=0.5), ""),
        ("the limit is missed", put("training", "ship_gate_mean_plcc", to=0.999), "ENS511 plain"),
        ("the limit is null", put("training", "ship_gate_mean_plcc", to=None), "ENS511 plain"),
        ("the digest is gone", drop("sha256"), "SID404 plain"),
        ("the digest is a list", put("sha256", to=[]), "SID404 plain"),
        ("the mean is a string, above", put("loso_mean_plcc", to="0.9975"), "ENS516 plain"),
        (
            "the limit is a string",
            put("training", "ship_gate_mean_plcc", to="0.95"),
            "ENS511 plain",
        ),
        ("the folds are a string", put("training", "loso_folds", to="9"), "ENS516 plain"),
        ("it was trained as smoke, in words", put("training", "smoke", to="no"), "SID408 plain"),
        ("the mode is a number", put("quant_mode", to=8), "SID408 plain"),
        ("the int8 digest is a number", put("int8_sha256", to=0), "SID409 plain"),
        ("the data's digests are a list", put("external_data_sha256", to=[]), "SID409 plain"),
    ],
    "quant.int8.json": [
        ("the variant's digest is another", put("sha256", to=ZERO), "SID404 quant")
    ],
    "s1.onnx": [
        ("the model is gone", remove(), "ART301 s1"),
        ("the model is cut off", cut(0.5), "ART302 s1"),
        ("the model is empty", content(b""), "ART302 s1"),
        ("a bit of the model is another", flip(0.5), "ART302 s1"),
        ("there is more behind the model", append(b"\0"), "ART302 s1"),
        ("the model is another's", of("s2.onnx"), "ART302 s1"),
        ("two models are swapped", exchange("s2.onnx"), "ART302 s1, ART302 s2"),
        ("the model is a page", content(b"<html>404</html>"), "ART302 s1"),
        ("the model has another name", move("s1_v2.onnx"), "ART301 s1"),
        (
            "the model and its sidecar have another name",
            together(("s1.onnx", move("s1_v2.onnx")), ("s1.json", move("s1_v2.json"))),
            "ART301 s1",
        ),
        (
            "a model that no row names, whose data has another name",
            together(("s3.onnx", content(seed_model(4))), ("s3.onnx.data", content(b"0" * 24))),
            "ART311",
        ),
        ("a model that no row names", copy("s3.onnx"), "ART311"),
        (
            "a model that no row names, behind one that has another name",
            together(("s1.onnx", move("s1_v2.onnx")), ("probe.onnx", copy("z.onnx"))),
            "ART301 s1, ART311",
        ),
        ("the model is a link", link("s2.onnx"), "ART302 s1"),
        (
            "a seed of another width",
            reexport(1, inputs=[INPUTS[0], ("codec_block", 6)]),
            "SID403 s1 x2",
        ),
        (
            "a seed with other features",
            reexport(1, inputs=[("features", 5), INPUTS[1]]),
            "SID403 s1",
        ),
        ("a seed of another opset", reexport(1, opset=18), "ART310 s1"),
        (
            "a seed with another input",
            reexport(1, inputs=[INPUTS[0], ("block", INPUTS[1][1])]),
            "SID410 s1",
        ),
        ("a seed with one input more", reexport(1, inputs=[*INPUTS, ("mask", 1)]), "SID410 s1"),
        ("a seed that takes another type", reexport(1, _takes_doubles), "ENS520 s1"),
        ("a seed that gives two numbers", reexport(1, _gives_two), "ENS520 s1"),
        ("a seed that says no shape", reexport(1, _says_no_shape), "ENS520 s1"),
        ("a seed with one output more", reexport(1, _one_output_more), "SID410 s1"),
        ("a seed with its inputs in another order", reexport(1, inputs=INPUTS[::-1]), "SID410 s1"),
        ("a seed whose data has another name", _keep_data("seed1.onnx.data"), "ART304 s1"),
        ("a seed whose data is that of another", _keep_data("s2.onnx.data"), "ART306 s1"),
        ("a seed whose data is outside", _keep_data("../s1.onnx.data"), "ART305 s1"),
        (
            "a seed with longer data than there is",
            _keep_data("s1.onnx.data", length=48),
            "ART307 s1",
        ),
        (
            "a seed with shorter data than there is",
            _keep_data("s1.onnx.data", length=4),
            "ART307 s1",
        ),
        ("a seed whose data is the registry", _keep_data("registry.json"), "ART305 s1"),
        ("a seed whose data is its model", _keep_data("s1.onnx"), "ART305 s1"),
        ("a seed whose data is its sidecar", _keep_data("s1.json"), "ART305 s1"),
        ("a seed with its weights inside", reexport(1, external=()), "ART312 s1"),
    ],
    "quant.int8.onnx": [
        ("the int8 variant is gone", remove(), "ART301 quant"),
        ("the int8 variant is another", flip(0.5), "ART302 quant"),
        ("the int8 variant is the model", of("quant.onnx"), "ART302 quant"),
    ],
    "quant.onnx": [("the row is the int8 variant", of("quant.int8.onnx"), "ART302 quant")],
    "s1.onnx.data": [
        ("the data is gone", remove(), "ART304 s1"),
        ("the data is cut off", cut(0.5), "ART302 s1"),
        ("the data is empty", content(b""), "ART302 s1"),
        ("a bit of the data is another", flip(), "ART302 s1"),
        ("there is more behind the data", append(b"\0"), "ART302 s1"),
        ("the data is another's", of("s2.onnx.data"), "ART302 s1"),
        ("two data files are swapped", exchange("s2.onnx.data"), "ART302 s1, ART302 s2"),
        ("the data has another name", move("seed1.onnx.data"), "ART304 s1"),
        ("data that no model names", copy("s3.onnx.data"), "ART311"),
        ("the data is a link out", link("/dev/null"), "ART305 s1"),
    ],
}

DEFERRED: Final = """[[deferral]]
rule = "SID402"
rows = ["late"]
reason = "the retrain"
reference = "ADR-1105"
expires = 2999-12-31
"""

DEFERRALS: Final[dict[str, list[Line]]] = {
    "../provenance.toml": [
        ("the deferral is gone", text(DEFERRED, ""), "SID402 late"),
        ("the deferral is there twice", append(DEFERRED.encode()), ""),
        ("the reason is gone", text('reason = "the retrain"\n', ""), "DEF904"),
        ("the reason is empty", text('reason = "the retrain"', 'reason = ""'), "DEF904"),
        ("the reference is gone", text('reference = "ADR-1105"\n', ""), "DEF904"),
        ("the date has passed", text("2999-12-31", "2020-12-31"), "DEF903"),
        ("the date is gone", text("expires = 2999-12-31\n", ""), ""),
        ("the rule is another", text('"SID402"', '"SID403"'), "DEF901, SID402 late"),
        ("the rule cannot be deferred", text('"SID402"', '"ART302"'), "DEF905, SID402 late"),
        ("the pattern is misspelt", text('"late"', '"lat"'), "DEF902, SID402 late"),
        ("the pattern is in upper case", text('"late"', '"LATE"'), "DEF902, SID402 late"),
        ("the pattern has a star", text('"late"', '"l*"'), ""),
        ("the pattern is too wide", text('"late"', '"*"'), "DEF901"),
        ("one pattern of two matches nothing", text('"late"]', '"late", "later"]'), "DEF902"),
        ("one row of two has no finding", text('"late"]', '"late", "probe"]'), "DEF901"),
    ],
    "late.json": [
        ("the sidecar is fresh again", describe("late.onnx"), "DEF901"),
        ("the sidecar is gone", remove(), "DEF901"),
        ("the sidecar is stale in another way", put("sha256", to=ZERO), ""),
    ],
    "registry.json": [
        ("the row is production", put("models", "late", "smoke", to=False), "SID404 late"),
        ("the row has another id", put("models", "late", "id", to="new"), "DEF902, SID402 new"),
        ("the row is gone", drop("models", "late"), "ART311, DEF902"),
    ],
}
"""Changes of a configuration with one deferral, and of what it covers."""

SPELLINGS: Final[dict[str, Callable[[str], str]]] = {
    "without white space": lambda t: json.dumps(json.loads(t), separators=(",", ":")),
    "indented with tabs": lambda t: json.dumps(json.loads(t), indent="\t"),
    "with empty lines around it": lambda t: f"\n\n{t}\n\n",
    "with CRLF line ends": lambda t: t.replace("\n", "\r\n"),
    "without the last line end": lambda t: t.rstrip("\n"),
    "with its texts escaped": lambda t: re.sub('"[^"]*"', lambda m: _escaped(m[0]), t),
    "with its keys in another order": lambda t: json.dumps(json.loads(t), sort_keys=True),
    "with a field that is not known": lambda t: json.dumps(json.loads(t) | {"x": [{"y": None}]}),
}
"""Other spellings with the same meaning."""

DOCUMENTS: Final = (
    *("registry.json", "ens.json", "ens_PROMOTE.json", "s1.json", "plain.json", "quant.int8.json"),
)

BYSTANDERS: Final = {
    "README.md": b"# Models\n",
    "registry.schema.json": b'{"type": "object"}\n',
    "s1_card.md": b"A seed.\n",
    "s1.png": b"\x89PNG",
    "notes.json": b"not JSON",
    "team.json": b'{"id": "team", "members": ["a", {"name": "b"}]}\n',
    "ens_notes.json": b'{"text": "of the ensemble, and no document about it"}\n',
    "ens_settings.json": b'{"gate": "open"}\n',
    "settings.json": b'{"verdict": "fine", "gate": "open"}\n',
}
"""Files beside the registry that must be ignored."""


def _escaped(quoted: str) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" for c in quoted[1:-1]) + '"'


def _counted(expected: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for part in filter(None, expected.split(", ")):
        about, _, times = part.partition(" x")
        codes, space, row = about.partition(" ")
        found.update({f"{code}{space}{row}": int(times or 1) for code in codes.split("+")})
    return found


def _found(report: Any) -> Counter[str]:
    """Return what is not deferred: the code, and the row if there is one."""
    shown = [f for f in report.findings if f.deferred is None]
    return Counter(f"{f.code} {f.row}" if f.row else f.code for f in shown)


def _said(report: Any) -> str:
    return "\n".join(f"{f.code} {f.row} {f.path}: {f.message}" for f in report.findings)


@pytest.fixture(scope="session")
def clean_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return production(tmp_path_factory.mktemp("clean") / "tree").root


@pytest.fixture(scope="session")
def deferred_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return late(tmp_path_factory.mktemp("deferred") / "tree").root


@pytest.fixture(scope="session")
def released_tree(tmp_path_factory: pytest.TempPathFactory, key: KeyPair) -> Path:
    return production(tmp_path_factory.mktemp("released") / "tree", key).released().root


def _assert_exactly(source: Path, tree: Path, name: str, change: Change, expected: str) -> None:
    shutil.copytree(source, tree)
    change(tree / "model" / name)
    report = check(load_config(tree))
    assert _found(report) == _counted(expected), _said(report)
    with in_units(InRandomOrder(), 1):
        assert machine.report(check(load_config(tree))) == machine.report(report)
    assert report.exit_code == (1 if report.failing else 0)


def _lines(table: dict[str, list[Line]]) -> list[Any]:
    return [
        pytest.param(file, change, expected, id=f"{Path(file).name}: {name}")
        for file, lines in table.items()
        for name, change, expected in lines
    ]


def test_the_registry_is_as_it_should_be(clean_tree: Path, deferred_tree: Path) -> None:
    assert check(load_config(clean_tree)).findings == ()
    assert [f.code for f in check(load_config(deferred_tree)).deferred] == ["SID402"]
    assert _found(check(load_config(deferred_tree))) == Counter()


def test_the_table_is_long_and_no_line_is_there_twice() -> None:
    names = [line.id for line in (*_lines(MUTATIONS), *_lines(DEFERRALS))]
    assert len(names) == len(set(names)) >= 250


@pytest.mark.parametrize(("file", "change", "expected"), _lines(MUTATIONS))
def test_one_mutation(
    clean_tree: Path, tmp_path: Path, file: str, change: Change, expected: str
) -> None:
    _assert_exactly(clean_tree, tmp_path / "tree", file, change, expected)


@pytest.mark.parametrize(("file", "change", "expected"), _lines(DEFERRALS))
def test_one_mutation_beside_a_deferral(
    deferred_tree: Path, tmp_path: Path, file: str, change: Change, expected: str
) -> None:
    _assert_exactly(deferred_tree, tmp_path / "tree", file, change, expected)


@pytest.mark.parametrize("rule", ["SID4O2", "sid402", "", "*"])
def test_a_deferral_of_a_rule_that_there_is_not(
    deferred_tree: Path, tmp_path: Path, rule: str
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(deferred_tree, tree)
    text('"SID402"', f'"{rule}"')(tree / "provenance.toml")
    with pytest.raises(InputError):
        check(load_config(tree))


@pytest.mark.parametrize("file", DOCUMENTS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_another_spelling_changes_nothing(
    clean_tree: Path, tmp_path: Path, file: str, spelling: str
) -> None:
    respell = content(lambda old: SPELLINGS[spelling](old.decode()).encode())
    _assert_exactly(clean_tree, tmp_path / "tree", file, respell, "")


@pytest.mark.parametrize("file", DOCUMENTS[1:])
def test_another_spelling_of_numbers_changes_nothing(
    clean_tree: Path, tmp_path: Path, file: str
) -> None:
    respell = content(lambda old: re.sub(rb"(\d\.\d+)", rb"\1E+0", old))
    _assert_exactly(clean_tree, tmp_path / "tree", file, respell, "")


@pytest.mark.parametrize("file", BYSTANDERS)
def test_another_file_changes_nothing(clean_tree: Path, tmp_path: Path, file: str) -> None:
    _assert_exactly(clean_tree, tmp_path / "tree", file, content(BYSTANDERS[file]), "")


def test_the_order_of_keys_in_a_predicate_changes_nothing(
    released_tree: Path, tmp_path: Path, key: KeyPair
) -> None:
    """Every statement, serialized differently and signed again by the same key."""
    tree = tmp_path / "tree"
    shutil.copytree(released_tree, tree)
    bundles = sorted((tree / "bundles").iterdir(), key=lambda path: ".vsa." in path.name)
    renewed: dict[str, str] = {}
    for path in bundles:
        old = path.read_bytes()
        payload = json.loads(_payload(old))
        text_ = json.dumps(_reversed(payload), indent=1)
        for before, after in renewed.items():  # the summary holds the digests of the others
            text_ = text_.replace(before, after)
        new = json.dumps(_reversed(dsse_bundle(text_.encode(), key))).encode()
        path.write_bytes(new)
        renewed[sha256(old)] = sha256(new)
    report = verify(load_config(tree))
    assert report.findings == (), _said(report)
    assert report.exit_code == 0


def _payload(bundle: bytes) -> bytes:
    return base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"])


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _reversed(v) for k, v in reversed(value.items())}
    return [_reversed(v) for v in value] if isinstance(value, list) else value
