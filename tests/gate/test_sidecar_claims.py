# SPDX-License-Identifier: Apache-2.0
"""Claims of a sidecar, one at a time: what the graph or the row refutes, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from provenance.artifacts.onnx_model import plain_dtype
from tests.support.models import External, data, model, proto
from tests.support.mutated import mutated
from tests.support.mutations import put
from tests.support.production import production
from tests.support.repository import Repository, codes, sha256
from tests.support.spellings import SPELLINGS

SIX = [1.0] * 6


def found(repository: Repository, content: bytes | None = None, /, **claims: Any) -> list[str]:
    """The codes for a model with inputs `features` [batch, 6] and `codec` [batch, 4]."""
    two = model(inputs=[("features", 6), ("codec", 4)])
    row = repository.add("m", two if content is None else content)
    repository.write("m.json", {"sha256": row["sha256"], **claims})
    return codes(repository.save().check())


def image(*shape: int | str) -> bytes:
    """A model of one input `image` of any shape, in float16, with weights in float."""
    message = proto()
    message.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("image", TensorProto.FLOAT16, list(shape))
    )
    content: bytes = message.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        # names
        ({"input_name": "codec"}, []),
        ({"input_name": "x"}, ["SID410"]),
        ({"input_name": 7}, ["SID410"]),
        ({"input_names": ["features", "codec"]}, []),
        ({"input_names": ["features"]}, ["SID410"]),
        ({"input_names": ["codec", "features"]}, ["SID410"]),
        ({"input_names": ["features", "codec", "x"]}, ["SID410"]),
        ({"input_names": ["features", "features"]}, ["SID410"]),
        ({"input_names": []}, ["SID410"]),
        ({"input_names": {"features": "f"}}, ["SID410"]),
        ({"output_name": "score"}, []),
        ({"output_name": "features"}, ["SID410"]),
        ({"output_names": ["score"]}, []),
        ({"output_names": ["score", "x"]}, ["SID410"]),
        # shapes
        ({"input_shape": [-1, 6]}, []),
        ({"input_shape": [None, 4]}, []),  # of the other input
        ({"input_shape": [1, 5]}, ["SID411"]),
        ({"input_shape": [6]}, ["SID411"]),
        ({"input_shape": []}, ["SID411"]),
        ({"input_shape": ["batch", "width"]}, []),
        ({"input_shape": [1, True]}, ["SID411"]),
        ({"input_shape": "1x6"}, ["SID411"]),
        ({"input_shape": {"h": 1.5}}, []),  # of no tensor that the model has
        ({"input_shape": {"codec": 4, "features": None}}, ["SID411"]),
        ({"input_name": "codec", "input_shape": [1, 6]}, ["SID411"]),
        ({"input_name": "codec", "input_shape": [1, 4]}, []),
        ({"input_shapes": [[1, 6], [1, 4]]}, []),
        ({"input_shapes": [[1, 4], [1, 6]]}, ["SID411", "SID411"]),
        ({"input_shapes": [[1, 6]]}, ["SID411"]),
        ({"input_shapes": [[1, 6], [1, 4], [1, 2]]}, ["SID411"]),
        ({"input_shape": [[1, 6]], "input_shapes": [[1, 6]]}, ["SID411", "SID411"]),
        ({"input_shapes": [[1, 6], "x"]}, ["SID411"]),
        ({"input_names": ["features", 7]}, ["SID410"]),
        ({"input_shapes": {"codec": [1, 4], "x": [9]}}, []),
        ({"input_shapes": {"codec": [1, 6]}}, ["SID411"]),
        ({"input_shapes": [1, 4]}, []),
        ({"output_shape": [-1, 1]}, []),
        ({"output_shape": [-1]}, ["SID411"]),
        ({"output_shapes": [[8, 2]]}, ["SID411"]),
        # types
        ({"input_dtype": "float32"}, []),
        ({"input_dtype": "float16"}, ["SID412"]),
        ({"input_dtype": "mystery"}, []),
        ({"input_dtypes": ["float", "FLOAT"]}, []),
        ({"input_dtypes": ["float", "int8"]}, ["SID412"]),
        ({"input_dtypes": "double"}, ["SID412"]),
        ({"output_dtypes": {"score": "int64"}}, ["SID412"]),
        ({"dtype": "fp32"}, []),
        ({"dtype": "float16"}, ["SID412"]),
        ({"dtype": ["float16"]}, ["SID412"]),
        ({"input_dtypes": {"codec": 1}}, ["SID412"]),
        ({"input_dtypes": ["float", "mystery"]}, []),
        # opset
        ({"opset": 17}, []),
        ({"opset": 18}, ["SID413"]),
        ({"opset": True}, ["SID413"]),
        ({"opset": "17"}, ["SID413"]),
        ({"opset": None}, []),
        ({"onnx_opset": 16, "opset": 16}, ["SID413", "SID413"]),
        # widths
        ({"in_features": 6}, []),
        ({"in_features": 10}, []),
        ({"in_features": 7}, ["SID403"]),
        ({"in_features": 11}, ["SID403"]),
        ({"in_features": 10, "num_codecs": 5}, ["SID403"]),
        ({"in_features": 10, "training_recipe": {"num_codecs": 5, "in_features": 10}}, ["SID403"]),
        ({"feature_order": list("abcdefg"), "in_features": 10, "num_codecs": 4}, ["SID403"]),
        (
            {"input_names": ["codec", "features"], "feature_order": list("abcdef")},
            ["SID410"],
        ),
        (
            {
                "input_names": ["codec", "features"],
                "feature_order": list("abcdef"),
                "num_codecs": 5,
            },
            ["SID403", "SID410"],
        ),
        ({"training_recipe": {"in_features": 4}}, ["SID403"]),
        ({"num_codecs": 4}, []),
        ({"num_codecs": 5}, ["SID403"]),
        ({"training_recipe": {"num_codecs": 5}}, ["SID403"]),
        ({"features": 6}, []),
        ({"features": True}, ["SID403"]),
        ({"codec_vocab": ["a", "b", "c"]}, ["SID403"]),
        # statistics
        ({"feature_mean": SIX, "feature_std": SIX}, []),
        ({"feature_mean": SIX}, ["SID414"]),
        ({"feature_std": SIX}, ["SID414"]),
        ({"feature_mean": SIX, "feature_std": [1, 1, 1, 1, 1, 0]}, ["SID414"]),
        ({"feature_mean": SIX, "feature_std": [1, 1, 1, 1, 1, -1]}, ["SID414"]),
        ({"feature_mean": SIX, "feature_std": [1e-300] * 6}, []),
        ({"input_std": 0.5}, ["SID414"]),
        # digests of a corpus
        ({"corpus_sha256": "58"}, ["SID409"]),
        ({"corpus_sha256": 58}, ["SID409"]),
        ({"corpus": {"sha256": "x"}, "corpus_sha256": "58"}, ["SID409", "SID409"]),
        ({"corpus": {"sha256": None}, "corpus_sha256": "0" * 64}, []),
        ({"corpus": "runs/phase_a"}, []),
        ({"feature_mean": [0, 0, 0, 0, 0, -1], "feature_std": SIX}, []),
        ({"feature_mean": [True] * 6, "feature_std": SIX}, ["SID414"]),
        ({"feature_mean": ["1"] * 6, "feature_std": SIX}, ["SID414"]),
        ({"feature_mean": [1.0] * 5, "feature_std": SIX}, ["SID414"]),
        ({"feature_mean": [1.0] * 5, "feature_std": [1.0] * 5}, ["SID414", "SID414"]),
        ({"feature_mean": {"a": 1}, "feature_std": {"a": 0}}, ["SID414", "SID414"]),
        ({"input_mean": 0.5, "input_std": 0.5}, []),
        ({"input_mean": 0.5, "input_std": 0}, ["SID414"]),
        ({"input_mean": 0.5}, ["SID414"]),
        ({"input_mean": None, "input_std": None}, []),
        ({"input_mean": [[0.5]], "input_std": [[0.5]]}, []),
        ({"input_mean": [[0.5]], "input_std": [[0.5], [0]]}, ["SID414"]),
        ({"feature_order": list("abcdef"), "input_mean": SIX, "input_std": SIX}, []),
        ({"features": list("abcdef"), "input_mean": SIX, "input_std": SIX[1:]}, ["SID414"]),
        ({"feature_order": list("abcdefg"), "input_mean": SIX, "input_std": SIX}, ["SID403"]),
        ({"feature_order": list("ab"), "input_mean": [0, 0], "input_std": [1, 1]}, ["SID403"]),
        ({"feature_order": list("ab"), "input_mean": [0], "input_std": SIX}, ["SID403", "SID414"]),
        # names that stand twice
        ({"feature_order": list("abcdefa")}, ["SID403"]),
        ({"feature_order": list("abcdea")}, ["SID416"]),
        ({"encoder_vocab": ["a", "b", "a", 7]}, ["SID403"]),
        # of no model
        ({"int8_sha256": ""}, []),
        ({"int8_sha256": "0" * 64}, ["SID409"]),
        ({"int8_sha256": 7}, ["SID409"]),
        ({"external_data_sha256": {"x": "0" * 64}}, ["SID409"]),
        ({"external_data_sha256": []}, ["SID409"]),
    ],
)
def test_a_claim_is_refuted_or_not(
    repository: Repository, claims: dict[str, Any], expected: list[str]
) -> None:
    assert found(repository, **claims) == expected


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"feature_order": ["r", "g", "b"]}, []),
        ({"feature_order": list("abcd")}, ["SID403"]),
        ({"input_mean": [0.4, 0.5, 0.6]}, []),  # centred only, as some image models are
        ({"input_mean": [0.4, 0.5, 0.6], "input_std": [1, 1, 1]}, []),
        ({"input_mean": [0.4] * 5, "input_std": [1] * 5}, ["SID414", "SID414"]),
        ({"input_mean": [[0.4], 0.5]}, []),  # of another form
        ({"input_shape": [1, 3, 224, 224]}, []),
        ({"input_shape": [1, 1, 224, 224]}, ["SID411"]),
        ({"input_shape": [1, 0, 224, 224]}, []),  # 0 and -1 are no sizes
        ({"input_shape": [1, -1, 224, 224]}, []),
        ({"dtype": "float16"}, []),
        ({"dtype": "float32"}, []),  # of the weights
        ({"dtype": "int8"}, ["SID412"]),
        ({"in_features": 224}, []),
    ],
)
def test_of_an_image_any_dimension_holds_the_features(
    repository: Repository, claims: dict[str, Any], expected: list[str]
) -> None:
    assert found(repository, image("batch", 3, 224, 224), **claims) == expected


@pytest.mark.parametrize(
    ("shape", "width", "fits"),
    [
        ((6,), 6, True),
        ((6,), 5, False),
        (("batch", 6), 6, True),
        ((5, 6), 5, False),
        (("batch", 3, 6), 3, True),
        (("batch", 3, 6), 6, True),
        (("batch", 3, 6), 5, False),
        ((5, 3, 6), 5, False),
        (("batch", "any", 6), 5, True),
    ],
)
def test_of_a_window_any_dimension_but_the_batch_holds_the_features(
    repository: Repository, shape: tuple[int | str, ...], width: int, fits: bool
) -> None:
    claims = {"feature_order": [f"f{n}" for n in range(width)]}
    assert found(repository, image(*shape), **claims) == ([] if fits else ["SID403"])


@pytest.mark.parametrize(
    ("shape", "claims", "expected"),
    [
        ((1, 100, 3, 27, 48), {"frame_window": 100, "thumbnail_h": 27, "thumbnail_w": 48}, []),
        ((1, 100, 3, 27, 48), {"frame_window": 99}, ["SID411"]),
        ((1, 100, 3, 27, 48), {"frame_window": 0}, ["SID411"]),
        ((1, 100, 3, 27, 48), {"frame_window": "100"}, ["SID411"]),
        ((1, 100, 3, 27, 48), {"frame_window": None}, []),
        ((1, 100, 3, 27, 48), {"thumbnail_h": 28}, ["SID411"]),
        ((1, 100, 3, 27, 48), {"thumbnail_w": 49}, ["SID411"]),
        (("batch", 100, 3, 27, 48), {"frame_window": 99, "thumbnail_w": 49}, ["SID411", "SID411"]),
        ((1, "time", 3, 27, 48), {"frame_window": 99, "thumbnail_w": 49}, []),
        ((1, 300, 1, 27, 48), {"frame_window": 100}, []),  # of three channels each
        ((1, 3, 27, 48), {"frame_window": 100}, []),  # one frame at a time
        ((1, 3, 27, 48), {"thumbnail_h": 28}, ["SID411"]),
        ((1, 3, 27, 48), {"thumbnail_w": 49}, ["SID411"]),
        ((1, 27, 48), {"thumbnail_h": 28, "thumbnail_w": 49}, []),
        ((1, 100, 3, 27, 48), {"frame_window": 1}, []),
        ((1, 100, 3, 27, 48), {"frame_window": -1}, ["SID411"]),
        ((1, 6), {"frame_window": 100, "thumbnail_h": 28}, []),  # what the features are of
        ((1, 3, 27, 48), {"n_params": 3073}, []),  # exporters count in different ways
    ],
)
def test_a_size_is_one_that_an_input_can_have(
    repository: Repository, shape: tuple[int | str, ...], claims: dict[str, Any], expected: Any
) -> None:
    assert found(repository, image(*shape), **claims) == expected


def test_a_model_without_inputs_refutes_no_size(repository: Repository) -> None:
    message = proto()
    del message.graph.input[:]
    assert found(repository, message.SerializeToString(), frame_window=99) == []


@pytest.mark.parametrize(
    ("weights", "dtype", "expected"),
    [
        ([TensorProto.FLOAT, TensorProto.INT64], "int64", ["SID412"]),
        ([TensorProto.FLOAT, TensorProto.INT32], "int32", ["SID412"]),
        ([TensorProto.FLOAT, TensorProto.BOOL], "bool", ["SID412"]),
        ([TensorProto.FLOAT, TensorProto.INT64], "float32", []),
        ([TensorProto.FLOAT, TensorProto.INT8], "int8", []),
        ([TensorProto.INT64], "int64", []),
        ([TensorProto.INT64, TensorProto.BOOL], "bool", []),
    ],
)
def test_a_type_of_shapes_and_places_is_not_that_of_the_model(
    repository: Repository, weights: list[int], dtype: str, expected: list[str]
) -> None:
    message = proto()
    del message.graph.initializer[:]
    for index, kind in enumerate(weights):
        message.graph.initializer.append(helper.make_tensor(f"w{index}", kind, [1], [1]))
    assert found(repository, message.SerializeToString(), dtype=dtype) == expected


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (
            ["features"],
            "the sidecar does not declare the input 'codec', but m.onnx has features, codec",
        ),
        (
            ["features", "codec", "x"],
            "the sidecar declares an input 'x', but m.onnx has features, codec",
        ),
        (["x"], "the sidecar declares an input 'x', but m.onnx has features, codec"),
        (
            ["codec", "features"],
            "the sidecar declares the inputs ['codec', 'features'], but m.onnx has "
            "features, codec, in this order",
        ),
    ],
)
def test_the_message_shows_how_names_differ(
    repository: Repository, names: list[str], says: str
) -> None:
    row = repository.add("m", model(inputs=[("features", 6), ("codec", 4)]))
    repository.write("m.json", {"sha256": row["sha256"], "input_names": names})
    (finding,) = repository.save().check().failing
    assert finding.message == says


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"num_codecs": 4}, []),  # of an input that the model does not have
        ({"input_names": ["x", "features"], "num_codecs": 4}, ["SID403", "SID410"]),
        ({"input_names": ["features", "x"], "num_codecs": 4}, ["SID410"]),
    ],
)
def test_a_width_is_that_of_the_input_it_is_declared_for(
    repository: Repository, claims: dict[str, Any], expected: list[str]
) -> None:
    assert found(repository, model(), **claims) == expected


def test_a_model_without_inputs_refutes_no_width(repository: Repository) -> None:
    message = proto()
    del message.graph.input[:]
    content = message.SerializeToString()
    claims = {"num_codecs": 4, "feature_order": ["a"], "feature_mean": [1], "feature_std": [1]}
    assert found(repository, content, **claims) == []


def test_an_input_of_any_size_refutes_no_width(repository: Repository) -> None:
    claims = {"feature_order": list("abcd"), "in_features": 9, "input_mean": [1] * 4}
    assert found(repository, image("batch", "any"), **claims, input_std=[1] * 4) == []


@pytest.mark.parametrize(("means", "deviations"), [(3, 2), (2, 3)])
def test_as_many_means_as_deviations_where_nothing_else_says_how_many(
    repository: Repository, means: int, deviations: int
) -> None:
    claims = {"input_mean": [1] * means, "input_std": [1] * deviations}
    assert found(repository, image("batch", "any"), **claims) == ["SID414"]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((6,), ["SID414"]), (("batch", 6), ["SID414"]), (("batch", 6, 1), [])],
)
def test_a_vector_is_scaled_and_an_image_may_be_centred_only(
    repository: Repository, shape: tuple[int | str, ...], expected: list[str]
) -> None:
    assert found(repository, image(*shape), input_mean=0.5) == expected
    repository.rows.clear()
    assert found(repository, image(*shape), input_std=0.5) == expected


@pytest.mark.parametrize(
    ("own", "variants", "says"),
    [
        ({"input_mean": SIX}, {"input_mean": SIX}, None),
        ({"input_mean": SIX}, {"input_mean": [1.0000001, 1, 1, 1, 1, 1]}, None),
        ({"input_mean": [0.91544] * 6}, {"input_mean": [0.9154358735163397] * 6}, None),
        ({"input_mean": SIX}, {}, None),
        ({}, {"input_mean": SIX}, None),
        (
            {"input_mean": SIX},
            {"input_mean": [1, 5, 1, 1, 1, 1]},
            "`input_mean[1]` is 5, but 1.0 in model/m.json",
        ),
        (
            {"input_mean": 1, "input_std": 2.0},
            {"input_mean": 1, "input_std": 3.0},
            "`input_std` is 3.0, but 2.0 in model/m.json",
        ),
        (
            {"input_mean": 1},
            {"input_mean": SIX},
            "`input_mean` has another structure than in model/m.json",
        ),
        ({"sha256": "0" * 64, "input_mean": SIX}, {"input_mean": [5] * 6}, None),
    ],
)
def test_an_int8_variant_takes_the_input_of_its_model(
    repository: Repository, own: dict[str, Any], variants: dict[str, Any], says: str | None
) -> None:
    row = repository.add_int8("m")
    both: dict[str, Any] = {"input_mean": SIX, "input_std": SIX}
    repository.write("m.json", {"sha256": row["sha256"]} | (both | own if own else {}))
    repository.write("m.int8.json", {"sha256": row["int8_sha256"]} | (both | variants))
    found = [f for f in repository.save().check().failing if f.code == "SID414"]
    assert [f.message for f in found] == ([] if says is None else [says])
    assert {f.path for f in found} <= {"model/m.int8.json"}


def test_one_feature_has_one_mean(repository: Repository) -> None:
    claims = {"input_mean": [1, 1], "input_std": [1, 1]}
    assert found(repository, image("batch", 1), **claims) == ["SID414", "SID414"]


@pytest.mark.parametrize(
    ("features", "named"), [("abc", " (c)"), ("ab", ""), ("a", ""), ([1, 2, 3], "")]
)
def test_a_wrong_entry_is_reported_with_the_name_of_its_feature(
    repository: Repository, features: Any, named: str
) -> None:
    row = repository.add("m", image("batch", 3))
    claims = {"feature_order": list(features), "input_mean": [1, 1, "x"], "input_std": [1, 1, 1]}
    repository.write("m.json", {"sha256": row["sha256"], **claims})
    (found,) = (f for f in repository.save().check().failing if f.code == "SID414")
    assert found.message == f"`input_mean[2]`{named} is 'x', not a number"


def test_an_entry_of_a_block_is_not_one_of_a_feature(repository: Repository) -> None:
    row = repository.add("m", image("batch", 2, 2))
    claims = {"feature_order": ["a", "b"], "input_mean": [[1, "x"], [1, 1]]}
    repository.write("m.json", {"sha256": row["sha256"], **claims})
    (found,) = (f for f in repository.save().check().failing if f.code == "SID414")
    assert found.message == "`input_mean[0][1]` is 'x', not a number"


@pytest.mark.parametrize("before", ["a", "c"])
def test_statistics_are_of_the_input_that_is_named_first(
    repository: Repository, before: str
) -> None:
    content = model(inputs=[(before, 3), ("b", 6)])
    claims = {"input_names": ["b", before], "input_mean": [1] * 6, "input_std": [1] * 6}
    assert "SID414" not in found(repository, content, **claims)


def test_a_scaler_of_features_has_a_deviation_whatever_the_input(repository: Repository) -> None:
    claims = {"feature_mean": [1] * 6}
    assert found(repository, image("batch", 6, 1), **claims) == ["SID414"]


def test_a_width_is_refuted_behind_one_that_cannot_be_compared(repository: Repository) -> None:
    claims = {"feature_order": {"a": 1}, "training_recipe": {"in_features": 9}}
    assert found(repository, model(), **claims) == ["SID403", "SID403"]


def test_a_vocabulary_is_refuted_behind_one_that_is_right(repository: Repository) -> None:
    layout = ["encoder_onehot[x264]", "encoder_onehot[x265]"]
    claims = {"codec_block_layout": layout, "encoder_vocab": ["x264", "x265"]}
    claims["codec_vocab"] = ["a", "b", "c"]
    row = repository.add("m", image("batch", 2))
    repository.write("m.json", {"sha256": row["sha256"], **claims})
    found = [f.message for f in repository.save().check().failing if "layout" in f.message]
    assert found == ["`codec_block_layout` has 2 encoders, `codec_vocab` has 3"]


@pytest.mark.parametrize(
    ("vocabulary", "says"),
    [
        (["x265", "x264"], "`encoder_vocab` has 2, in another order"),
        (["x264"], "`encoder_vocab` has 1"),
        (["x264", "x266"], "`encoder_vocab` has 2, but 'x266' is not in the layout"),
        (["x264", "x264"], "`encoder_vocab` has 2, without 'x265'"),
        (["x264", "x265", "x266"], "`encoder_vocab` has 3"),
    ],
)
def test_a_vocabulary_is_that_of_the_layout_in_its_order(
    repository: Repository, vocabulary: list[str], says: str
) -> None:
    row = repository.add("m", image("batch", 2))
    layout = ["encoder_onehot[x264]", "encoder_onehot[x265]"]
    claims = {"codec_block_layout": layout, "encoder_vocab": vocabulary}
    repository.write("m.json", {"sha256": row["sha256"], **claims})
    found = [f.message for f in repository.save().check().failing if f.code == "SID403"]
    assert found == [f"`codec_block_layout` has 2 encoders, {says}"]


@pytest.mark.parametrize(("features", "wrong"), [("ab", True), ("abc", False), ("abcd", True)])
def test_as_many_statistics_as_features_where_the_input_is_of_any_size(
    repository: Repository, features: str, wrong: bool
) -> None:
    claims = {"feature_order": list(features), "input_mean": [1] * 3, "input_std": [1] * 3}
    assert found(repository, image("batch", "any"), **claims) == ["SID414", "SID414"] * wrong


def test_a_repeated_name_is_reported(repository: Repository) -> None:
    row = repository.add("m")
    repository.write("m.json", {"sha256": row["sha256"], "features": list("abcdce")})
    (finding,) = repository.save().check().failing
    assert finding.message == "`features` contains 'c' twice"


def test_the_sidecar_of_a_variant_is_judged_beside_one_that_names_no_bytes(
    repository: Repository,
) -> None:
    repository.add_int8("m")
    repository.write("m.json", {"id": "m"})
    repository.write("m.int8.json", {"id": "m", "sha256": "0" * 64})
    found = [(f.code, f.path) for f in repository.save().check().findings]
    assert found == [("SID402", "model/m.int8.json")]


def test_a_variant_without_a_digest_is_reported_beside_a_record_without_one(
    repository: Repository,
) -> None:
    del repository.add_int8("m")["smoke"]
    repository.write("m.json", {"id": "m", "gate": {}})
    repository.write("m.int8.json", {"id": "m"})
    found = [(f.code, f.path) for f in repository.save().check().findings]
    assert found == [("SID404", "model/m.json"), ("SID406", "model/m.int8.json")]


def test_a_graph_without_shapes_refutes_none(repository: Repository) -> None:
    message = proto()
    for tensor in (*message.graph.input, *message.graph.output):
        tensor.type.tensor_type.ClearField("shape")
    content = message.SerializeToString()
    assert found(repository, content, input_shape=[1, 2, 3], feature_order=["a"]) == []


def test_a_model_that_cannot_be_read_refutes_what_the_row_knows_only(
    repository: Repository,
) -> None:
    claims = {"opset": 9, "input_names": ["x"], "dtype": "int8", "kind": "nr"}
    row = repository.add("m")
    repository.write("m.json", claims)
    repository.path("m.onnx").unlink()
    assert codes(repository.save().check()) == ["ART301", "SID408"]
    assert row["kind"] == "fr"


@pytest.mark.parametrize(
    ("row", "claims", "expected"),
    [
        ({}, {"id": "m", "kind": "fr", "onnx": "m.onnx", "smoke": True}, []),
        ({}, {"id": "m_int8"}, ["SID408"]),
        ({}, {"id": 7}, ["SID408"]),
        ({"kind": 7}, {"kind": "fr"}, ["REG101"]),
        ({}, {"onnx": 7}, ["SID408"]),
        ({}, {"onnx": "model/tiny/m.onnx"}, []),
        ({}, {"onnx": "m.int8.onnx"}, ["SID408"]),
        ({}, {"license": "mit"}, []),
        ({}, {"license": 7}, ["SID408"]),
        ({}, {"license": "MIT OR ISC"}, ["SID408"]),
        ({"license": "MIT OR ISC"}, {"license": "MIT"}, ["SID408"]),
        ({"license": "MIT OR ISC"}, {"license": "ISC OR MIT"}, []),
        ({"license": "LicenseRef-a"}, {"license": "LicenseRef-a"}, []),
        ({"license": "LicenseRef-a"}, {"license": "LicenseRef-b"}, ["SID408"]),
        ({}, {"license_url": ["https://example.org/LICENSE"]}, ["SID408"]),
        (
            {"license_url": "https://github.com/o/r/blob/v1/LICENSE"},
            {"license_url": "https://raw.githubusercontent.com/o/r/main/LICENSE"},
            [],
        ),
        (
            {"license_url": "https://github.com/o/r/blob/v1/LICENSE"},
            {"license_url": "https://github.com/o/s/blob/v1/LICENSE"},
            ["SID408"],
        ),
        (
            {"license_url": "https://github.com/o/s/blob/v1/LICENSE"},
            {"license_url": "https://github.com/o/r/blob/v1/LICENSE"},
            ["SID408"],
        ),
        (
            {"license_url": "https://github.com/o/r/blob/v1/LICENSE"},
            {"license_url": "https://example.org/LICENSE"},
            ["SID408"],
        ),
        ({}, {"license_url": "https://github.com/o/r/blob/v1/LICENSE"}, ["SID408"]),
        ({}, {"smoke": 1}, ["SID408"]),
        ({"smoke": "yes"}, {"smoke": True}, ["REG101"]),
        ({}, {"smoke": None}, []),
        ({}, {"quant_mode": "fp32"}, []),
        ({}, {"quant_mode": "dynamic"}, ["SID408"]),
        ({}, {"quant_mode": "int4"}, []),
        ({"quant_mode": "dynamic"}, {"quant_mode": "static"}, ["ART301", "SID408"]),
        ({"quant_mode": "static"}, {"quant_mode": "dynamic"}, ["ART301", "SID408"]),
        ({"quant_accuracy_budget_plcc": 1}, {"quant_accuracy_budget_plcc": 1.0}, []),
        ({"quant_accuracy_budget_plcc": 1}, {"quant_accuracy_budget_plcc": True}, ["SID408"]),
        ({}, {"quant_accuracy_budget_plcc": 0.5}, []),
        ({}, {"sigstore_bundle": "other.sigstore.json"}, ["SID408"]),
        ({"license": ""}, {"license": "MIT"}, ["LIC201"]),
        ({}, {"training": {"smoke": True}}, []),
    ],
)
def test_what_a_sidecar_repeats_of_its_row(
    repository: Repository, row: dict[str, Any], claims: dict[str, Any], expected: list[str]
) -> None:
    made = repository.add("m", **row)
    repository.write("m.json", {"sha256": made["sha256"], **claims})
    assert codes(repository.save().check()) == expected


@pytest.mark.parametrize("claim", ["0" * 64, "f" * 64])
def test_a_claim_is_judged_behind_one_that_is_right(repository: Repository, claim: str) -> None:
    names = ("a.data", "b.data")
    for salt, name in enumerate(names):
        repository.write(name, data(24, salt))
    declared = {n: sha256(repository.path(n).read_bytes()) for n in names}
    content = model(external=[External(n, tensor=n) for n in names])
    row = repository.add("m", content, external_data_sha256=declared)
    claims = {"sha256": row["sha256"], "external_data_sha256": declared | {"b.data": claim}}
    repository.write("m.json", claims)
    (finding,) = repository.save().check().failing
    assert finding.code == "SID409"
    assert finding.message.startswith("`external_data_sha256.b.data` is ")


@pytest.mark.parametrize(("training", "smoke", "told"), [
    (True, None, 1), (1, None, 1), ("true", None, 1), (True, False, 1), (True, True, 1),
    (True, 1, 2), (False, 1, 1),
])  # fmt: skip
def test_a_placeholder_is_one_where_it_says_true(
    repository: Repository, training: Any, smoke: Any, told: int
) -> None:
    """Of a production row: `training.smoke` is told beside a `smoke` that says something else."""
    row = repository.add("m", smoke=False)
    claims = {"training": {"smoke": training}, "smoke": smoke}
    repository.add_sidecar(row, **claims)
    assert codes(repository.save().check()) == ["SID408"] * told


def test_the_sidecar_of_a_shared_variant_is_reported_once(repository: Repository) -> None:
    row = repository.add_int8("m")
    repository.write("m.int8.json", {"sha256": row["int8_sha256"], "kind": "nr"})
    repository.rows.append(row | {"id": "n", "sigstore_bundle": "n.sigstore.json"})
    found = [(f.code, f.row) for f in repository.save().check().failing]
    assert found == [("SID408", "m"), ("ART313", "n")]


def test_a_wrong_smoke_is_reported_once(repository: Repository) -> None:
    row = repository.add("m", smoke=False)
    claims = {"sha256": row["sha256"], "smoke": True, "training": {"smoke": True}}
    repository.write("m.json", claims)
    (finding,) = repository.save().check().failing
    assert (finding.code, finding.message) == (
        "SID408",
        "`smoke` is True, but `smoke` of the row is False",
    )


@pytest.mark.parametrize(
    ("row", "claims", "trains"),
    [
        ({"smoke": False}, {"smoke": True}, True),
        ({"smoke": True}, {"smoke": False}, False),
        ({"smoke": False}, {"smoke": 1}, False),
        ({}, {"kind": True}, False),
    ],
)
def test_the_help_for_placeholder_weights_is_to_train(
    repository: Repository, row: dict[str, Any], claims: dict[str, Any], trains: bool
) -> None:
    repository.add_sidecar(repository.add("m", **row), **claims)
    (finding,) = repository.save().check().failing
    assert finding.code == "SID408"
    assert finding.help.startswith("Train the model" if trains else "Decide which is right")


def test_a_claim_that_equals_the_id_of_its_member_is_reported(tmp_path: Path) -> None:
    repository = production(tmp_path / "tree")
    mutated(repository, ("s1.json", put("kind", to="s1")), expected=["SID408 s1"])


def test_a_placeholder_beside_a_row_that_claims_nothing_is_reported(repository: Repository) -> None:
    row = repository.add("m")
    del row["smoke"]
    repository.write("m.json", {"sha256": row["sha256"], "smoke": True})
    (finding,) = repository.save().check().failing
    assert (finding.code, finding.message) == (
        "SID408",
        "`smoke` is True, but the row has no `smoke`",
    )


def test_an_int8_variant_has_its_own_sidecar(repository: Repository) -> None:
    row = repository.add_int8("q")
    own = {"id": "q.int8", "onnx": "q.int8.onnx", "sha256": row["int8_sha256"], "opset": 17}
    repository.write("q.int8.json", own)
    assert codes(repository.save().check()) == []
    repository.write("q.int8.json", own | {"id": "r", "onnx": "q.onnx", "opset": 18})
    report = repository.save().check()
    assert codes(report) == ["SID408", "SID408", "SID413"]
    assert {f.path for f in report.failing} == {"model/q.int8.json"}


def test_a_missing_int8_file_is_reported_once(repository: Repository) -> None:
    row = repository.add_int8("q")
    repository.write("q.json", {"sha256": row["sha256"], "int8_sha256": "0" * 64})
    repository.path("q.int8.onnx").unlink()
    assert codes(repository.save().check()) == ["ART301"]


def test_a_sidecar_that_agrees_with_a_wrong_row_is_reported_once(repository: Repository) -> None:
    row = repository.add_int8("q")
    repository.write("q.json", {"sha256": row["sha256"], "int8_sha256": row["int8_sha256"]})
    repository.write("q.int8.onnx", model(salt=77))
    assert codes(repository.save().check()) == ["ART302"]


def test_weights_outside_the_model_may_be_claimed_by_their_name(repository: Repository) -> None:
    row = repository.add_external("ext")
    covered = dict(row["external_data_sha256"])
    claims = {"sha256": row["sha256"], "external_data_sha256": covered}
    repository.write("ext.json", claims)
    assert codes(repository.save().check()) == []
    repository.write("ext.json", claims | {"external_data_sha256": {"ext.onnx.data": "nothing"}})
    (finding,) = repository.save().check().failing
    assert finding.code == "SID409"
    assert "is 'nothing', but the digest of model/ext.onnx.data is" in finding.message


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("float32", "float"),
        ("FLOAT", "float"),
        ("tensor(float)", "float"),
        ("torch.float32", "float"),
        (" np.int64 ", "int64"),
        ("TensorProto.BFLOAT16", "bfloat16"),
        ("double", "double"),
        ("uint8", "uint8"),
        ("half", "float16"),
        ("int", None),
        ("", None),
        ("tensor(map)", None),
    ],
)
def test_an_element_type_is_spelled_in_many_ways(spelling: str, name: str | None) -> None:
    assert plain_dtype(spelling) == name


@pytest.mark.parametrize(
    ("stray", "owner"),
    [
        ({"onnx": "m.onnx"}, "matches the row 'm'"),
        ({"id": "m", "sha256": "0" * 64}, "matches the row 'm'"),
        ({"onnx": "gone.onnx"}, "it names 'gone.onnx'"),
        ({"onnx_opset": 17, "input_names": ["x"]}, "a sidecar without a row"),
    ],
)
def test_a_stray_sidecar_says_whose_it_is(
    repository: Repository, stray: dict[str, Any], owner: str
) -> None:
    repository.add("m")
    repository.write("beside.json", stray)
    (finding,) = repository.save().check().failing
    assert (finding.code, finding.row, finding.path) == ("SID415", None, "model/beside.json")
    assert owner in finding.message
    assert finding.position is not None
    assert codes(repository.check("m")) == []


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"id": "old", "onnx": "old.onnx"}, 3),
        ({"onnx": "old.onnx", "id": "old"}, 2),
        ({"sha256": "0" * 64, "id": "old", "kind": "fr", "feature_order": ["a"]}, 3),
    ],
)
def test_a_stray_sidecar_is_reported_at_its_onnx_or_id(
    repository: Repository, value: dict[str, Any], line: int
) -> None:
    repository.add("m")
    repository.write("old.json", value)
    (finding,) = (f for f in repository.save().check().failing if f.code == "SID415")
    assert finding.position is not None
    assert finding.position.line == line


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ({"onnx": "m.onnx", "plcc": 0.99}, False),
        ({"id": "m", "sha256": "0" * 64, "plcc": 0.99}, False),
        ({"onnx": "m.int8.onnx", "plcc": 0.99}, False),
        ({"onnx": "n.onnx", "plcc": 0.99}, True),
        ({"onnx": "m.onnx", "input_name": "features"}, True),
        ({"id": "m", "sha256": "0" * 64, "feature_order": ["a"]}, True),
    ],
)
def test_beside_its_sidecar_a_model_may_have_records(
    repository: Repository, beside: dict[str, Any], told: bool
) -> None:
    repository.add_sidecar(repository.add_int8("m"))
    repository.write("eval_m.json", beside)
    found = [f.code for f in repository.save().check().failing]
    assert found == (["SID415"] if told else [])


def test_the_help_never_suggests_to_overwrite_a_sidecar(repository: Repository) -> None:
    sidecar = repository.add_sidecar(repository.add("m"))
    repository.write("copy.json", sidecar | {"onnx": "m.onnx"})
    (finding,) = repository.save().check().failing
    assert finding.help == "Remove it."
    assert finding.message.endswith("matches the row 'm', whose sidecar is m.json")


def test_a_stray_sidecar_can_be_deferred_by_its_path(repository: Repository) -> None:
    repository.add("m")
    repository.write("beside.json", {"onnx": "m.onnx"})
    repository.defer("SID415", ["model/beside.json"])
    report = repository.save().check()
    assert codes(report) == []
    assert [f.code for f in report.deferred] == ["SID415"]


@pytest.mark.parametrize(
    "value", [{"onnx_opset": 17}, {"input_name": "x"}, {"onnx": "m"}, {"id": 1}]
)
def test_other_documents_are_ignored(repository: Repository, value: dict[str, Any]) -> None:
    repository.add("m")
    repository.write("beside.json", value)
    assert codes(repository.save().check()) == []


def test_the_digest_of_a_sidecar_counts_as_computed(repository: Repository) -> None:
    content = model(salt=3)
    row = repository.add("m", content, sha256="0" * 64)
    repository.write("m.json", {"sha256": sha256(content), "kind": "nr"})
    assert codes(repository.save().check()) == ["ART302", "SID408"]
    assert row["kind"] == "fr"


def test_the_sidecar_of_a_shared_file_is_that_of_the_first_row(repository: Repository) -> None:
    row = repository.add("m")
    repository.rows.append(row | {"id": "n", "sigstore_bundle": "n.sigstore.json"})
    repository.write("m.json", {"id": "m", "sha256": row["sha256"], "opset": 18})
    report = repository.save().check()
    assert [(f.code, f.row) for f in report.failing] == [("SID413", "m"), ("ART313", "n")]


def test_an_int8_variant_with_a_row_of_its_own_is_judged_there(repository: Repository) -> None:
    row = repository.add_int8("q")
    repository.add("own", repository.path("q.int8.onnx").read_bytes(), onnx="q.int8.onnx")
    repository.write("q.int8.json", {"id": "own", "sha256": row["int8_sha256"], "opset": 18})
    report = repository.save().check()
    assert [(f.code, f.row) for f in report.failing] == [("SID413", "own")]


def test_a_production_row_names_the_sidecar_that_was_left_behind(repository: Repository) -> None:
    repository.add("m", smoke=False)
    repository.write("m_v1.json", {"onnx": "m.onnx"})
    repository.write("m_v0.json", {"onnx": "m.onnx"})
    report = repository.save().check()
    assert [(f.code, f.path) for f in report.failing] == [
        ("SID401", "model/registry.json"),
        ("SID415", "model/m_v1.json"),
    ]
    assert (
        "model/m_v0.json, which belongs to no row, describes the model" in report.failing[0].message
    )
    assert report.failing[0].help.startswith(
        "If model/m_v0.json is its sidecar, rename it to model/m.json."
    )


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
def test_a_record_of_weights_says_of_which_bytes_it_is(
    repository: Repository, record: dict[str, Any], digest: dict[str, Any]
) -> None:
    repository.add("m", smoke=False)
    repository.write("m.json", {"input_name": "features", **record, **digest})
    report = repository.save().check()
    assert "SID404" in codes(report)
    assert "SID406" not in [f.code for f in report.findings]


@pytest.mark.parametrize("training", [{}, {"seed": 42}, "gate_passed", ["gate"], None])
def test_a_sidecar_that_records_no_gate_is_warned_of_where_it_names_no_bytes(
    repository: Repository, training: Any
) -> None:
    del repository.add("m")["smoke"]
    repository.write("m.json", {"input_name": "features", "training": training})
    assert [f.code for f in repository.save().check().findings] == ["SID406"]


@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_sidecar_may_spell_the_digest_of_its_model_otherwise(
    repository: Repository, spell: Callable[[str], str]
) -> None:
    row = repository.add("m")
    repository.write("m.json", {"sha256": spell(row["sha256"])})
    assert repository.save().check().findings == ()


@pytest.mark.parametrize("digest", ["md5:" + "0" * 32, "0" * 63, "zz"])
def test_what_is_no_sha256_in_a_sidecar_is_named_as_that(
    repository: Repository, digest: str
) -> None:
    repository.add("m")
    repository.write("m.json", {"sha256": digest})
    (finding,) = repository.save().check().failing
    assert finding.code == "SID402"
    assert f"{digest!r}, not a SHA-256 digest" in finding.message


def test_ids_that_differ_are_reported_if_no_ensemble_is_judged(
    tmp_path: Path,
) -> None:
    repository = production(tmp_path / "tree")
    repository.rows[1]["id"] = "renamed"
    repository.save()
    assert codes(repository.check()) == ["ENS501"]
    assert codes(repository.check("renamed")) == ["SID408"]


@pytest.mark.parametrize(
    ("there", "lacking", "neutral"),
    [
        ("feature_mean", "feature_std", "deviations of 1"),
        ("feature_std", "feature_mean", "means of 0"),
    ],
)
def test_of_a_mean_and_a_deviation_the_one_that_is_missing_is_named(
    repository: Repository, there: str, lacking: str, neutral: str
) -> None:
    row = repository.add("m")
    repository.write("m.json", {"sha256": row["sha256"], there: SIX})
    (found,) = repository.save().check().failing
    assert found.message == f"`{there}` is present, but `{lacking}` is missing"
    assert found.help.endswith(f"If the model needs no `{lacking}`, write {neutral}.")


def test_statistics_of_a_variant_are_compared_where_they_are_statistics(
    repository: Repository,
) -> None:
    row = repository.add_int8("m")
    claims = {"feature_mean": SIX, "feature_std": SIX}
    repository.write("m.json", {"sha256": row["sha256"], **claims})
    other = {"feature_mean": ["x", *SIX[1:]], "feature_std": [2.0] * 6}
    repository.write("m.int8.json", {"sha256": row["int8_sha256"], **other})
    (found,) = repository.save().check().failing
    assert found.message == "`feature_mean[0]` is 'x', not a number"
    repository.write(
        "m.int8.json", {"sha256": row["int8_sha256"], **claims, "feature_std": [2.0] * 6}
    )
    (found,) = repository.check().failing
    assert found.message == "`feature_std[0]` is 2.0, but 1.0 in model/m.json"


@pytest.mark.parametrize("claimed", ["0" * 64, "f" * 64])
def test_a_sidecar_of_other_bytes_is_reported_beside_a_replaced_file(
    repository: Repository, claimed: str
) -> None:
    row = repository.add_int8("m")
    repository.add_sidecar(row, sha256=claimed)
    repository.write("m.int8.json", {"sha256": claimed})
    repository.write("m.onnx", model(salt=70))
    found = repository.save().check().failing
    assert [f.code for f in found] == ["ART302", "SID402", "SID402"]
    assert all(not f.help.startswith("Write it as") for f in found)


def test_a_stale_sidecar_of_a_variant_is_reported_beside_a_replaced_model(
    repository: Repository,
) -> None:
    row = repository.add_int8("m")
    repository.add_sidecar(row)
    repository.write("m.int8.json", {"sha256": "0" * 64})
    repository.write("m.onnx", model(salt=70))
    assert codes(repository.save().check()) == ["ART302", "SID402"]


def test_blocks_of_statistics_of_a_variant_are_compared_entry_by_entry(
    repository: Repository,
) -> None:
    row = repository.add_int8("m")
    blocks = {"input_mean": [[0.0, 1.0], [0.5, 0.5]], "input_std": [[1.0, 1.0], [1.0, 1.0]]}
    repository.write("m.json", {"sha256": row["sha256"], **blocks})
    repository.write("m.int8.json", {"sha256": row["int8_sha256"], **blocks})
    assert codes(repository.save().check()) == []
    blocks["input_mean"] = [[0.0, 1.0], [0.5, 0.6]]
    repository.write("m.int8.json", {"sha256": row["int8_sha256"], **blocks})
    (found,) = repository.check().failing
    assert found.message == "`input_mean[1][1]` is 0.6, but 0.5 in model/m.json"
