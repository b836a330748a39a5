# SPDX-License-Identifier: Apache-2.0
"""Claims of a sidecar, one at a time: which the graph or the row refutes, and which not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from onnx import TensorProto, helper

from provenance.artifacts.onnx_model import plain_dtype
from tests.support.findings import listed, only
from tests.support.models import External, data, model, proto
from tests.support.mutated import mutated
from tests.support.mutations import put
from tests.support.production import production
from tests.support.repository import Repository, codes, sha256
from tests.support.spellings import SPELLINGS

ZERO: Final = "0" * 64
SIX: Final = [1.0] * 6
ONE: Final = {"input_mean": 1}
TWO: Final = model(inputs=[("features", 6), ("codec", 4)])
SEVEN: Final = list("abcdefg")
SWAPPED: Final = ["codec", "features"]


def describe(repository: Repository, content: bytes | None, **claims: Any) -> Repository:
    """Add a model, and a sidecar of its digest with claims."""
    row = repository.add("m", content)
    repository.write("m.json", {"sha256": row["sha256"], **claims})
    return repository.save()


def found(repository: Repository, content: bytes | None, **claims: Any) -> str:
    return " ".join(codes(describe(repository, content, **claims).check()))


def image(*shape: int | str) -> bytes:
    """A model of one input `image` of any shape, in float16, with weights in float."""
    message = proto()
    message.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("image", TensorProto.FLOAT16, list(shape))
    )
    content: bytes = message.SerializeToString()
    return content


def without(*fields: str) -> bytes:
    """A model whose graph lacks inputs, or whose tensors lack shapes."""
    message = proto()
    if "input" in fields:
        del message.graph.input[:]
    if "shape" in fields:
        for tensor in (*message.graph.input, *message.graph.output):
            tensor.type.tensor_type.ClearField("shape")
    content: bytes = message.SerializeToString()
    return content


def weights(*types: int) -> bytes:
    """A model with one weight of each type."""
    message = proto()
    del message.graph.initializer[:]
    for index, kind in enumerate(types):
        message.graph.initializer.append(helper.make_tensor(f"w{index}", kind, [1], [1]))
    content: bytes = message.SerializeToString()
    return content


COLOUR: Final = image("batch", 3, 224, 224)
WINDOW: Final = image(1, 100, 3, 27, 48)
FRAME: Final = image(1, 3, 27, 48)
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64

CLAIMS: Final[list[tuple[bytes, str, str, list[Any], list[Any]]]] = [
    (TWO, "input_name", "SID410", ["codec"], ["x", 7]),
    (TWO, "input_names", "SID410", [["features", "codec"]], [["features"], [], {"features": "f"}]),
    (TWO, "input_names", "SID410", [], [["codec", "features"], ["features", "codec", "x"]]),
    (TWO, "input_names", "SID410", [], [["features", "features"], ["features", 7]]),
    (TWO, "output_name", "SID410", ["score"], ["features"]),
    (TWO, "output_names", "SID410", [["score"]], [["score", "x"]]),
    (TWO, "input_shape", "SID411", [[-1, 6], [None, 4], ["batch", "width"]], [[1, 5], [6], []]),
    (
        TWO,
        "input_shape",
        "SID411",
        [{"h": 1.5}],
        [[1, True], "1x6", {"codec": 4, "features": None}],
    ),
    (TWO, "input_shapes", "SID411", [[[1, 6], [1, 4]], [1, 4]], [[[1, 6]], [[1, 6], "x"]]),
    (TWO, "input_shapes", "SID411", [], [[[1, 6], [1, 4], [1, 2]]]),
    (TWO, "input_shapes", "SID411", [{"codec": [1, 4], "x": [9]}], [{"codec": [1, 6]}]),
    (TWO, "output_shape", "SID411", [[-1, 1]], [[-1]]),
    (TWO, "output_shapes", "SID411", [], [[[8, 2]]]),
    (TWO, "input_dtype", "SID412", ["float32", "mystery"], ["float16"]),
    (TWO, "input_dtypes", "SID412", [["float", "FLOAT"], ["float", "mystery"]], ["double"]),
    (TWO, "input_dtypes", "SID412", [], [["float", "int8"], {"codec": 1}]),
    (TWO, "output_dtypes", "SID412", [], [{"score": "int64"}]),
    (TWO, "dtype", "SID412", ["fp32"], ["float16", ["float16"]]),
    (TWO, "opset", "SID413", [17, None], [18, True, "17"]),
    (TWO, "in_features", "SID403", [6, 10], [7, 11]),
    (TWO, "num_codecs", "SID403", [4], [5]),
    (TWO, "training_recipe", "SID403", [], [{"in_features": 4}, {"num_codecs": 5}]),
    (TWO, "features", "SID403", [6], [True]),
    (TWO, "codec_vocab", "SID403", [], [["a", "b", "c"]]),
    (TWO, "encoder_vocab", "SID403", [], [["a", "b", "a", 7]]),
    (TWO, "feature_order", "SID403", [], [list("abcdefa"), {"a": 1}]),
    (TWO, "feature_order", "SID416", [], [list("abcdea")]),
    (TWO, "feature_mean", "SID414", [], [SIX]),
    (TWO, "feature_std", "SID414", [], [SIX]),
    (TWO, "corpus_sha256", "SID409", [], ["58", 58]),
    (TWO, "corpus", "SID409", ["runs/phase_a", {"sha256": None}], [{"sha256": "x"}]),
    (TWO, "int8_sha256", "SID409", [""], [ZERO, 7]),
    (TWO, "external_data_sha256", "SID409", [], [{"x": ZERO}, []]),
    (COLOUR, "feature_order", "SID403", [["r", "g", "b"]], [list("abcd")]),
    (COLOUR, "input_mean", "", [[0.4, 0.5, 0.6], [[0.4], 0.5]], []),  # centred only
    (COLOUR, "input_shape", "SID411", [[1, 3, 224, 224], [1, 0, 224, 224]], [[1, 1, 224, 224]]),
    (COLOUR, "input_shape", "", [[1, -1, 224, 224]], []),
    (COLOUR, "dtype", "SID412", ["float16", "float32"], ["int8"]),  # of the input, of the weights
    (COLOUR, "in_features", "", [224], []),
    (WINDOW, "frame_window", "SID411", [100, 1, None], [99, 0, "100", -1]),
    (WINDOW, "thumbnail_h", "SID411", [27], [28]),
    (WINDOW, "thumbnail_w", "SID411", [48], [49]),
    (FRAME, "frame_window", "", [100], []),  # one frame at a time
    (FRAME, "thumbnail_h", "SID411", [], [28]),
    (FRAME, "thumbnail_w", "SID411", [], [49]),
    (FRAME, "n_params", "", [3073], []),  # exporters count in different ways
    (image(1, 300, 1, 27, 48), "frame_window", "", [100], []),  # three channels for each frame
    (image(1, "time", 3, 27, 48), "frame_window", "", [99], []),
    (image(6), "feature_order", "SID403", [list("abcdef")], [list("abcde")]),
    (image("batch", 6), "feature_order", "SID403", [list("abcdef")], [list("abcde")]),
    (image(5, 6), "feature_order", "SID403", [], [list("abcde")]),
    (
        image("batch", 3, 6),
        "feature_order",
        "SID403",
        [list("abc"), list("abcdef")],
        [list("abcde")],
    ),
    (image(5, 3, 6), "feature_order", "SID403", [], [list("abcde")]),
    (image("batch", "any", 6), "feature_order", "", [list("abcde")], []),
    # A vector is scaled, an image may be centred only.
    (image(6), "input_mean", "SID414", [], [0.5]),
    (image(6), "input_std", "SID414", [], [0.5]),
    (image("batch", 6), "input_mean", "SID414", [], [0.5]),
    (image("batch", 6), "input_std", "SID414", [], [0.5]),
    (image("batch", 6, 1), "input_mean", "", [0.5], []),
    (image("batch", 6, 1), "input_std", "", [0.5], []),
    (image("batch", 6, 1), "feature_mean", "SID414", [], [SIX]),
    # Integers beside float weights are shapes and indices.
    (weights(FLOAT, INT64), "dtype", "SID412", ["float32"], ["int64"]),
    (weights(FLOAT, TensorProto.INT32), "dtype", "SID412", [], ["int32"]),
    (weights(FLOAT, TensorProto.BOOL), "dtype", "SID412", [], ["bool"]),
    (weights(FLOAT, TensorProto.INT8), "dtype", "", ["int8"], []),
    (weights(INT64, TensorProto.BOOL), "dtype", "", ["bool", "int64"], []),
    (without("input"), "frame_window", "", [99], []),
    (model(), "num_codecs", "", [4], []),  # the model has no input of codecs
]
"""A model, a claim, the rule about it, values that the model has, and values that it lacks."""


@pytest.mark.parametrize(
    ("content", "claim", "value", "expected"),
    [
        pytest.param(content, claim, value, expected, id=f"{line}: {claim} {value}")
        for line, (content, claim, code, right, wrong) in enumerate(CLAIMS)
        for values, expected in ((right, ""), (wrong, code))
        for value in values
    ],
)
def test_claim_is_compared_with_the_graph(
    repository: Repository, content: bytes, claim: str, value: Any, expected: str
) -> None:
    assert found(repository, content, **{claim: value}) == expected


ANY: Final = image("batch", "any")


@pytest.mark.parametrize(
    ("content", "claims", "expected"),
    [
        (TWO, {"input_name": "codec", "input_shape": [1, 6]}, "SID411"),
        (TWO, {"input_name": "codec", "input_shape": [1, 4]}, ""),
        (TWO, {"input_shapes": [[1, 4], [1, 6]]}, "SID411 SID411"),
        (TWO, {"input_shape": [[1, 6]], "input_shapes": [[1, 6]]}, "SID411 SID411"),
        (TWO, {"onnx_opset": 16, "opset": 16}, "SID413 SID413"),
        (TWO, {"in_features": 10, "num_codecs": 5}, "SID403"),
        (TWO, {"in_features": 10, "training_recipe": {"num_codecs": 5}}, "SID403"),
        (TWO, {"feature_order": SEVEN, "in_features": 10, "num_codecs": 4}, "SID403"),
        (TWO, {"feature_order": {}, "training_recipe": {"in_features": 9}}, "SID403 SID403"),
        (TWO, {"input_names": SWAPPED, "feature_order": SEVEN[:6]}, "SID410"),
        (
            TWO,
            {"input_names": SWAPPED, "feature_order": SEVEN[:6], "num_codecs": 5},
            "SID403 SID410",
        ),
        (TWO, {"corpus": {"sha256": "x"}, "corpus_sha256": "58"}, "SID409 SID409"),
        (TWO, {"corpus": {"sha256": None}, "corpus_sha256": ZERO}, ""),
        (image("batch", 100, 3, 27, 48), {"frame_window": 99, "thumbnail_w": 49}, "SID411 SID411"),
        (image(1, 27, 48), {"thumbnail_h": 28, "thumbnail_w": 49}, ""),
        (image(1, 6), {"frame_window": 100, "thumbnail_h": 28}, ""),  # where the features are from
        (ANY, {"feature_order": list("abcd"), "in_features": 9}, ""),
        (without("input"), {"num_codecs": 4, "feature_order": ["a"]}, ""),
        (without("input"), {"feature_mean": [1], "feature_std": [1]}, ""),
        (without("shape"), {"input_shape": [1, 2, 3], "feature_order": ["a"]}, ""),
        (model(), {"input_names": ["x", "features"], "num_codecs": 4}, "SID403 SID410"),
        (model(), {"input_names": ["features", "x"], "num_codecs": 4}, "SID410"),
    ],
)
def test_claims_are_compared_together(
    repository: Repository, content: bytes, claims: dict[str, Any], expected: str
) -> None:
    assert found(repository, content, **claims) == expected


@pytest.mark.parametrize(
    ("content", "kind", "mean", "std", "expected"),
    [
        (TWO, "feature", SIX, SIX, ""),
        (TWO, "feature", SIX, [1, 1, 1, 1, 1, 0], "SID414"),
        (TWO, "feature", SIX, [1, 1, 1, 1, 1, -1], "SID414"),
        (TWO, "feature", SIX, [1e-300] * 6, ""),
        (TWO, "feature", [0, 0, 0, 0, 0, -1], SIX, ""),
        (TWO, "feature", [True] * 6, SIX, "SID414"),
        (TWO, "feature", ["1"] * 6, SIX, "SID414"),
        (TWO, "feature", [1.0] * 5, SIX, "SID414"),
        (TWO, "feature", [1.0] * 5, [1.0] * 5, "SID414 SID414"),
        (TWO, "feature", {"a": 1}, {"a": 0}, "SID414 SID414"),
        (TWO, "input", 0.5, 0.5, ""),
        (TWO, "input", 0.5, 0, "SID414"),
        (TWO, "input", None, None, ""),
        (TWO, "input", [[0.5]], [[0.5]], ""),
        (TWO, "input", [[0.5]], [[0.5], [0]], "SID414"),
        (COLOUR, "input", [0.4, 0.5, 0.6], [1, 1, 1], ""),
        (COLOUR, "input", [0.4] * 5, [1] * 5, "SID414 SID414"),
        (ANY, "input", [1] * 4, [1] * 4, ""),
        (ANY, "input", [1] * 3, [1] * 2, "SID414"),
        (ANY, "input", [1] * 2, [1] * 3, "SID414"),
        (image("batch", 1), "input", [1, 1], [1, 1], "SID414 SID414"),
    ],
)
def test_means_and_deviations_fit_each_other_and_the_input(
    repository: Repository, content: bytes, kind: str, mean: Any, std: Any, expected: str
) -> None:
    claims = {f"{kind}_mean": mean, f"{kind}_std": std}
    assert found(repository, content, **claims) == expected


@pytest.mark.parametrize(
    ("content", "order", "means", "deviations", "expected"),
    [
        (TWO, "abcdef", 6, 6, ""),
        (TWO, "abcdef", 6, 5, "SID414"),
        (TWO, "abcdefg", 6, 6, "SID403"),
        (TWO, "ab", 2, 2, "SID403"),
        (TWO, "ab", 1, 6, "SID403 SID414"),
        (ANY, "ab", 3, 3, "SID414 SID414"),
        (ANY, "abc", 3, 3, ""),
        (ANY, "abcd", 3, 3, "SID414 SID414"),
    ],
)
def test_statistics_are_as_many_as_features(
    repository: Repository, content: bytes, order: str, means: int, deviations: int, expected: str
) -> None:
    claims = {"input_mean": [1] * means, "input_std": [1] * deviations}
    assert found(repository, content, features=list(order), **claims) == expected


@pytest.mark.parametrize("first", ["a", "c"])
def test_statistics_belong_to_the_input_that_is_named_first(
    repository: Repository, first: str
) -> None:
    content = model(inputs=[(first, 3), ("b", 6)])
    claims = {"input_names": ["b", first], "input_mean": SIX, "input_std": SIX}
    assert found(repository, content, **claims) == "SID410"


def names(declared: list[str]) -> dict[str, Any]:
    return {"input_names": declared}


def features(*order: Any) -> dict[str, Any]:
    return {"feature_order": list(order)}


LAYOUT: Final = ["encoder_onehot[x264]", "encoder_onehot[x265]"]
CODECS: Final[dict[str, Any]] = {"codec_block_layout": LAYOUT}
LAID_OUT: Final = "`codec_block_layout` has 2 encoders,"
STATISTICS: Final[dict[str, Any]] = {"input_mean": [1, 1, "x"], "input_std": [1, 1, 1]}
THREE: Final = image("batch", 3)
PAIR: Final = image("batch", 2)
BLOCK: Final = image("batch", 2, 2)
HAS: Final = "but m.onnx has features, codec"
NO_NUMBER: Final = "is 'x', not a number"


@pytest.mark.parametrize(
    ("content", "claims", "message"),
    [
        (TWO, names(["features"]), f"the sidecar does not declare the input 'codec', {HAS}"),
        (TWO, names(["x"]), f"the sidecar declares an input 'x', {HAS}"),
        (TWO, names(["features", "codec", "x"]), f"the sidecar declares an input 'x', {HAS}"),
        (TWO, names(SWAPPED), f"the sidecar declares the inputs {SWAPPED}, {HAS}, in this order"),
        (THREE, STATISTICS | features("a", "b", "c"), f"`input_mean[2]` (c) {NO_NUMBER}"),
        (THREE, STATISTICS | features("a", "b"), f"`input_mean[2]` {NO_NUMBER}"),
        (THREE, STATISTICS | features(1, 2, 3), f"`input_mean[2]` {NO_NUMBER}"),
        (BLOCK, {"input_mean": [[1, "x"], [1, 1]]}, f"`input_mean[0][1]` {NO_NUMBER}"),
        *(
            (PAIR, CODECS | {"encoder_vocab": vocabulary}, f"{LAID_OUT} `encoder_vocab` has {how}")
            for vocabulary, how in (
                (["x265", "x264"], "2, in another order"),
                (["x264"], "1"),
                (["x264", "x266"], "2, but 'x266' is not in the layout"),
                (["x264", "x264"], "2, without 'x265'"),
                (["x264", "x265", "x266"], "3"),
            )
        ),
        (
            PAIR,
            CODECS | {"encoder_vocab": ["x264", "x265"], "codec_vocab": ["a", "b", "c"]},
            f"{LAID_OUT} `codec_vocab` has 3",
        ),
        (None, {"features": list("abcdce")}, "`features` contains 'c' twice"),
    ],
)
def test_message_shows_how_a_claim_differs(
    repository: Repository, content: bytes | None, claims: dict[str, Any], message: str
) -> None:
    found = describe(repository, content, **claims).check().failing
    assert message in [f.message for f in found]


@pytest.mark.parametrize(
    ("there", "lacking", "neutral"),
    [
        ("feature_mean", "feature_std", "deviations of 1"),
        ("feature_std", "feature_mean", "means of 0"),
    ],
)
def test_missing_half_of_the_statistics_is_named(
    repository: Repository, there: str, lacking: str, neutral: str
) -> None:
    finding = only(describe(repository, None, **{there: SIX}).check())
    assert finding.message == f"`{there}` is present, but `{lacking}` is missing"
    assert finding.help.endswith(f"If the model needs no `{lacking}`, write {neutral}.")


@pytest.mark.parametrize(
    ("own", "variants", "message"),
    [
        ({}, {}, ""),
        ({"input_mean": SIX}, {"input_mean": [1.0000001, 1, 1, 1, 1, 1]}, ""),
        ({"input_mean": [0.91544] * 6}, {"input_mean": [0.9154358735163397] * 6}, ""),
        (None, {}, ""),
        ({"sha256": ZERO}, {"input_mean": [5] * 6}, ""),
        ({}, {"input_mean": [1, 5, 1, 1, 1, 1]}, "`input_mean[1]` is 5, but 1.0 in model/m.json"),
        (
            ONE | {"input_std": 2.0},
            ONE | {"input_std": 3.0},
            "`input_std` is 3.0, but 2.0 in model/m.json",
        ),
        (ONE, {}, "`input_mean` has another structure than in model/m.json"),
        (
            {"input_mean": [[0.0, 1.0], [0.5, 0.5]], "input_std": [[1.0, 1.0], [1.0, 1.0]]},
            {"input_mean": [[0.0, 1.0], [0.5, 0.6]], "input_std": [[1.0, 1.0], [1.0, 1.0]]},
            "`input_mean[1][1]` is 0.6, but 0.5 in model/m.json",
        ),
        # An entry that is not a number is reported before statistics are compared.
        (
            {},
            {"input_mean": ["x", *SIX[1:]], "input_std": [2.0] * 6},
            "`input_mean[0]` is 'x', not a number",
        ),
    ],
)
def test_int8_variant_has_the_statistics_of_its_model(
    repository: Repository, own: dict[str, Any] | None, variants: dict[str, Any], message: str
) -> None:
    row = repository.add_int8("m")
    both: dict[str, Any] = {"input_mean": SIX, "input_std": SIX}
    claims = {} if own is None else both | own
    repository.write("m.json", {"sha256": row["sha256"]} | claims)
    repository.write("m.int8.json", {"sha256": row["int8_sha256"]} | both | variants)
    found = [(f.message, f.path) for f in repository.save().check().failing if f.code == "SID414"]
    assert found == ([(message, "model/m.int8.json")] if message else [])


INT8: Final = "the digest of the variant"


@pytest.mark.parametrize(
    ("own", "variants", "expected", "paths"),
    [
        ({"id": "m"}, {"id": "m", "sha256": ZERO}, "SID402 m", {"model/m.int8.json"}),
        ({"id": "m", "gate": {}}, {"id": "m"}, "SID404 m, SID406 m", None),
        (None, {"id": "m.int8", "onnx": "m.int8.onnx", "sha256": INT8, "opset": 17}, "", None),
        (
            None,
            {"id": "r", "onnx": "m.onnx", "sha256": INT8, "opset": 18},
            "SID408 m, SID408 m, SID413 m",
            {"model/m.int8.json"},
        ),
    ],
)
def test_int8_variant_has_its_own_sidecar(
    repository: Repository, own: Any, variants: Any, expected: str, paths: set[str] | None
) -> None:
    row = repository.add_int8("m")
    if own and "gate" in own:
        del row["smoke"]
    if variants.get("sha256") == INT8:
        variants = variants | {"sha256": row["int8_sha256"]}
    if own is not None:
        repository.write("m.json", own)
    repository.write("m.int8.json", variants)
    found = repository.save().check().findings
    assert listed(found) == expected
    assert paths is None or {f.path for f in found} == paths


def test_sidecars_of_a_shared_file_are_reported_for_the_first_row(repository: Repository) -> None:
    row = repository.add_int8("m")
    repository.rows.append(row | {"id": "n", "sigstore_bundle": "n.sigstore.json"})
    repository.write("m.json", {"id": "m", "sha256": row["sha256"], "opset": 18})
    repository.write("m.int8.json", {"sha256": row["int8_sha256"], "kind": "nr"})
    assert listed(repository.save().check().failing) == "SID408 m, SID413 m, ART313 n"


def test_int8_variant_with_its_own_row_is_judged_there(repository: Repository) -> None:
    row = repository.add_int8("q")
    repository.add("own", repository.path("q.int8.onnx").read_bytes(), onnx="q.int8.onnx")
    repository.write("q.int8.json", {"id": "own", "sha256": row["int8_sha256"], "opset": 18})
    assert listed(repository.save().check().failing) == "SID413 own"


def test_int8_file_that_is_missing_or_replaced_is_reported_once(repository: Repository) -> None:
    row = repository.add_int8("q")
    repository.write("q.json", {"sha256": row["sha256"], "int8_sha256": row["int8_sha256"]})
    repository.write("q.int8.onnx", model(salt=77))
    assert codes(repository.save().check()) == ["ART302"]
    repository.write("q.json", {"sha256": row["sha256"], "int8_sha256": ZERO})
    repository.path("q.int8.onnx").unlink()
    assert codes(repository.check()) == ["ART301"]


@pytest.mark.parametrize("claimed", [ZERO, "f" * 64])
def test_stale_sidecars_are_reported_beside_a_replaced_model(
    repository: Repository, claimed: str
) -> None:
    row = repository.add_int8("m")
    repository.add_sidecar(row, sha256=claimed)
    repository.write("m.int8.json", {"sha256": claimed})
    repository.write("m.onnx", model(salt=70))
    report = repository.save().check()
    assert codes(report) == ["ART302", "SID402", "SID402"]
    assert all(not f.help.startswith("Write it as") for f in report.failing)
    repository.add_sidecar(row)
    assert codes(repository.check()) == ["ART302", "SID402"]


def test_sidecar_of_an_unreadable_model_is_compared_with_the_row(repository: Repository) -> None:
    content = model(salt=3)
    repository.add("m", content, sha256=ZERO)
    repository.write("m.json", {"sha256": sha256(content), "kind": "nr"})
    assert codes(repository.save().check()) == ["ART302", "SID408"]
    repository.write("m.json", {"opset": 9, "input_names": ["x"], "dtype": "int8", "kind": "nr"})
    repository.path("m.onnx").unlink()
    assert codes(repository.save().check()) == ["ART301", "SID408"]


FILE: Final = "https://github.com/o/r/blob/v1/LICENSE"
OTHER_FILE: Final = "https://github.com/o/s/blob/v1/LICENSE"
RAW_FILE: Final = "https://raw.githubusercontent.com/o/r/main/LICENSE"
URL: Final = "https://example.org/LICENSE"
ABSENT: Final = "absent"

ROW_CLAIMS: Final[list[tuple[str, Any, list[Any], list[Any]]]] = [
    ("id", "m", ["m"], ["m_int8", 7]),
    ("kind", "fr", ["fr"], []),
    ("onnx", "m.onnx", ["m.onnx", "model/tiny/m.onnx"], [7, "m.int8.onnx"]),
    ("license", "MIT", ["mit"], [7, "MIT OR ISC"]),
    ("license", "MIT OR ISC", ["ISC OR MIT"], ["MIT"]),
    ("license", "LicenseRef-a", ["LicenseRef-a"], ["LicenseRef-b"]),
    ("license_url", URL, [], [[URL], FILE]),
    ("license_url", FILE, [RAW_FILE], [OTHER_FILE, URL]),
    ("license_url", OTHER_FILE, [], [FILE]),
    ("smoke", True, [True, None], [1]),
    ("quant_mode", ABSENT, ["fp32", "int4"], ["dynamic"]),
    ("quant_accuracy_budget_plcc", 1, [1.0], [True]),
    ("quant_accuracy_budget_plcc", ABSENT, [0.5], []),
    ("sigstore_bundle", "../bundles/m.onnx.sigstore.json", [], ["other.sigstore.json"]),
    ("training", ABSENT, [{"smoke": True}], []),
]
"""A field, its value in the row, claims of the sidecar that agree, and claims that do not."""


@pytest.mark.parametrize(
    ("field", "present", "claim", "expected"),
    [
        *(
            pytest.param(field, present, claim, expected, id=f"{field}: {present} {claim}")
            for field, present, right, wrong in ROW_CLAIMS
            for claims, expected in ((right, ""), (wrong, "SID408"))
            for claim in claims
        ),
        # A wrong value of the row is another rule's.
        ("kind", 7, "fr", "REG101"),
        ("smoke", "yes", True, "REG101"),
        ("license", "", "MIT", "LIC201"),
        ("quant_mode", "dynamic", "static", "ART301 SID408"),
        ("quant_mode", "static", "dynamic", "ART301 SID408"),
    ],
)
def test_claim_is_compared_with_the_row(
    repository: Repository, field: str, present: Any, claim: Any, expected: str
) -> None:
    row = repository.add("m")
    row |= {} if present == ABSENT else {field: present}
    repository.write("m.json", {"sha256": row["sha256"], field: claim})
    assert " ".join(codes(repository.save().check())) == expected


@pytest.mark.parametrize("claim", [ZERO, "f" * 64])
def test_wrong_digest_is_reported_behind_a_right_one(repository: Repository, claim: str) -> None:
    names = ("a.data", "b.data")
    for salt, name in enumerate(names):
        repository.write(name, data(24, salt))
    declared = {n: sha256(repository.path(n).read_bytes()) for n in names}
    content = model(external=[External(n, tensor=n) for n in names])
    row = repository.add("m", content, external_data_sha256=declared)
    claims = {"sha256": row["sha256"], "external_data_sha256": declared | {"b.data": claim}}
    repository.write("m.json", claims)
    finding = only(repository.save().check())
    assert finding.code == "SID409"
    assert finding.message.startswith("`external_data_sha256.b.data` is ")


def test_sidecar_may_claim_external_data_by_name(repository: Repository) -> None:
    row = repository.add_external("ext")
    claims = {"sha256": row["sha256"], "external_data_sha256": row["external_data_sha256"]}
    repository.write("ext.json", claims)
    assert codes(repository.save().check()) == []
    repository.write("ext.json", claims | {"external_data_sha256": {"ext.onnx.data": "nothing"}})
    finding = only(repository.save().check())
    assert finding.code == "SID409"
    assert "is 'nothing', but the digest of model/ext.onnx.data is" in finding.message


@pytest.mark.parametrize(
    ("training", "smoke", "count"),
    [
        *((True, None, 1), (1, None, 1), ("true", None, 1), (True, False, 1), (True, True, 1)),
        *((True, 1, 2), (False, 1, 1)),
    ],
)
def test_production_row_refutes_every_claim_of_smoke(
    repository: Repository, training: Any, smoke: Any, count: int
) -> None:
    row = repository.add("m", smoke=False)
    repository.add_sidecar(row, training={"smoke": training}, smoke=smoke)
    assert codes(repository.save().check()) == ["SID408"] * count


@pytest.mark.parametrize(
    ("row", "claims", "message", "help"),
    [
        (
            {"smoke": False},
            {"smoke": True, "training": {"smoke": True}},
            "`smoke` is True, but `smoke` of the row is False",
            "Train the model",
        ),
        ({}, {"smoke": True}, "`smoke` is True, but the row has no `smoke`", ""),
        ({"smoke": True}, {"smoke": False}, "", "Decide which is right"),
        ({"smoke": False}, {"smoke": 1}, "", "Decide which is right"),
        ({"smoke": True}, {"kind": True}, "", "Decide which is right"),
    ],
)
def test_help_for_smoke_weights_is_to_train_the_model(
    repository: Repository, row: dict[str, Any], claims: Any, message: str, help: str
) -> None:
    made = repository.add("m")
    del made["smoke"]
    repository.add_sidecar(made | row, **claims)
    made |= row
    finding = only(repository.save().check())
    assert finding.code == "SID408"
    assert message in finding.message
    assert finding.help.startswith(help)


def test_claim_that_equals_the_id_of_its_member_is_reported(tmp_path: Path) -> None:
    repository = production(tmp_path / "tree")
    mutated(repository, ("s1.json", put("kind", to="s1")), expected=["SID408 s1"])


def test_other_ids_are_reported_for_a_row_if_ensembles_are_not_judged(tmp_path: Path) -> None:
    repository = production(tmp_path / "tree")
    repository.rows[1]["id"] = "renamed"
    repository.save()
    assert codes(repository.check()) == ["ENS501"]
    assert codes(repository.check("renamed")) == ["SID408"]


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        *((spelling, "float") for spelling in ("float32", "FLOAT", "tensor(float)")),
        ("torch.float32", "float"),
        (" np.int64 ", "int64"),
        ("TensorProto.BFLOAT16", "bfloat16"),
        *(("double", "double"), ("uint8", "uint8"), ("half", "float16")),
        *((spelling, None) for spelling in ("int", "", "tensor(map)")),
    ],
)
def test_element_type_has_many_spellings(spelling: str, name: str | None) -> None:
    assert plain_dtype(spelling) == name


@pytest.mark.parametrize(
    ("stray", "message", "line"),
    [
        ({"onnx": "m.onnx"}, "matches the row 'm'", 2),
        ({"id": "m", "sha256": ZERO}, "matches the row 'm'", 2),
        ({"id": "gone", "onnx": "gone.onnx"}, "it names 'gone.onnx'", 3),
        ({"onnx": "gone.onnx", "id": "gone"}, "it names 'gone.onnx'", 2),
        ({"sha256": ZERO, "id": "old", "kind": "fr", "feature_order": ["a"]}, "", 3),
        ({"onnx_opset": 17, "input_names": ["x"]}, "a sidecar without a row", 1),
    ],
)
def test_stray_sidecar_is_reported_with_its_likely_owner(
    repository: Repository, stray: dict[str, Any], message: str, line: int
) -> None:
    repository.add("m")
    repository.write("beside.json", stray)
    finding = only(repository.save().check())
    assert (finding.code, finding.row, finding.path) == ("SID415", None, "model/beside.json")
    assert message in finding.message
    assert finding.position is not None
    assert finding.position.line == line
    assert codes(repository.check("m")) == []
    repository.defer("SID415", ["model/beside.json"])
    report = repository.save().check()
    assert codes(report) == []
    assert [f.code for f in report.deferred] == ["SID415"]


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({"onnx": "m.onnx", "plcc": 0.99}, ""),
        ({"id": "m", "sha256": ZERO, "plcc": 0.99}, ""),
        ({"onnx": "m.int8.onnx", "plcc": 0.99}, ""),
        ({"onnx_opset": 17}, ""),
        ({"input_name": "x"}, ""),
        ({"onnx": "m"}, ""),
        ({"id": 1}, ""),
        ({"onnx": "n.onnx", "plcc": 0.99}, "SID415"),
        ({"onnx": "m.onnx", "input_name": "features"}, "SID415"),
        ({"id": "m", "sha256": ZERO, "feature_order": ["a"]}, "SID415"),
    ],
)
def test_model_with_a_sidecar_may_have_other_records(
    repository: Repository, beside: dict[str, Any], expected: str
) -> None:
    repository.add_sidecar(repository.add_int8("m"))
    repository.write("eval_m.json", beside)
    assert listed(repository.save().check().failing) == expected


def test_help_never_suggests_overwriting_a_sidecar(repository: Repository) -> None:
    sidecar = repository.add_sidecar(repository.add("m"))
    repository.write("copy.json", sidecar | {"onnx": "m.onnx"})
    finding = only(repository.save().check())
    assert finding.help == "Remove it."
    assert finding.message.endswith("matches the row 'm', whose sidecar is m.json")


def test_production_row_names_the_sidecar_of_its_former_name(repository: Repository) -> None:
    repository.add("m", smoke=False)
    repository.write("m_v1.json", {"onnx": "m.onnx"})
    repository.write("m_v0.json", {"onnx": "m.onnx"})
    first, second = repository.save().check().failing
    assert (first.code, first.path) == ("SID401", "model/registry.json")
    assert (second.code, second.path) == ("SID415", "model/m_v1.json")
    assert "model/m_v0.json, which belongs to no row, describes the model" in first.message
    rename = "If model/m_v0.json is its sidecar, rename it to model/m.json."
    assert first.help.startswith(rename)


@pytest.mark.parametrize(
    "record",
    [
        {"gate": {"verdict": "PROMOTE"}},
        {"gate_passed": True},
        {"gate_passed": False},
        {"verdict": "PROMOTE"},
        {"seed": 3},
        {"ensemble_id": "e"},
        {"training": {"gate_passed": True}},
    ],
)
@pytest.mark.parametrize("digest", [{}, {"sha256": None}])
def test_record_of_weights_needs_a_digest(
    repository: Repository, record: dict[str, Any], digest: dict[str, Any]
) -> None:
    repository.add("m", smoke=False)
    repository.write("m.json", {"input_name": "features", **record, **digest})
    report = repository.save().check()
    assert "SID404" in codes(report)
    assert "SID406" not in [f.code for f in report.findings]


@pytest.mark.parametrize("training", [{}, {"seed": 42}, "gate_passed", ["gate"], None])
def test_sidecar_without_a_record_or_digest_is_a_warning(
    repository: Repository, training: Any
) -> None:
    repository.add_unclaimed("m")
    repository.write("m.json", {"input_name": "features", "training": training})
    assert [f.code for f in repository.save().check().findings] == ["SID406"]


@pytest.mark.parametrize("spell", SPELLINGS)
def test_digest_in_another_spelling_is_accepted(
    repository: Repository, spell: Callable[[str], str]
) -> None:
    row = repository.add("m")
    repository.write("m.json", {"sha256": spell(row["sha256"])})
    assert repository.save().check().findings == ()


@pytest.mark.parametrize("digest", ["md5:" + "0" * 32, "0" * 63, "zz"])
def test_malformed_digest_is_named_in_the_message(repository: Repository, digest: str) -> None:
    repository.add("m")
    repository.write("m.json", {"sha256": digest})
    finding = only(repository.save().check())
    assert finding.code == "SID402"
    assert f"{digest!r}, not a SHA-256 digest" in finding.message
