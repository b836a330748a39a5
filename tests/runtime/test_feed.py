# SPDX-License-Identifier: Apache-2.0
"""Inputs that models are run on: always the same, of the declared shape."""

from __future__ import annotations

import math
from typing import Any

import pytest

from provenance.artifacts.onnx_model import TensorSpec
from provenance.runtime.feed import LARGEST, Input, UnfeedableError, feed, feeds, open_dimensions
from provenance.runtime.settings import RunSettings


def spec(*shape: int | str | None, dtype: str = "float", name: str = "x") -> TensorSpec:
    return TensorSpec(name, dtype, shape)


def fed(given: TensorSpec, mean: tuple[float, ...] = (), **settings: Any) -> Input:
    (made,) = feed([given], RunSettings(**settings), mean).inputs
    return made


SIZES = {"H": 224, "x.3": 128, "x.1": 9}


@pytest.mark.parametrize(
    ("declared", "configured", "shape"),
    [
        ((), {}, ()),
        ((3,), {}, (3,)),
        ((0, 3), {}, (0, 3)),
        (("batch", 3, "H", "W"), {}, (1, 3, 64, 64)),
        ((None, None), {}, (1, 64)),
        ((-1, -1), {}, (1, 64)),
        (("batch", 3, "H", None), SIZES, (1, 3, 224, 128)),
    ],
)
def test_an_open_dimension_is_configured_or_1_if_it_is_the_first_and_64_elsewhere(
    declared: tuple[int | str | None, ...], configured: dict[str, int], shape: tuple[int, ...]
) -> None:
    assert fed(spec(*declared), dimensions=configured).shape == shape


def test_a_symbol_has_one_size_in_all_inputs() -> None:
    made = feed([spec("n", "m"), spec("m", "n", name="y")], RunSettings())
    assert [i.shape for i in made.inputs] == [(1, 64), (64, 1)]
    assert made.sizes == {"n": 1, "m": 64}


@pytest.mark.parametrize(
    ("dtype", "mean", "configured", "fill"),
    [
        *((dtype, (), {}, 0.5) for dtype in ("float", "float16", "bfloat16")),
        *((dtype, (), {}, 0) for dtype in ("int64", "bool", "string")),
        ("float", (7.0, 8.0), {}, (7.0, 8.0)),
        ("float", (7.0,), {}, 0.5),
        ("int64", (7.0, 8.0), {}, 0),
        ("float", (7.0, 8.0), {"x": 3, "y": 4}, 3),
        ("int32", (7.0, 8.0), {"x": 3, "y": 4}, 3),
    ],
)
def test_an_input_is_filled_as_configured_or_with_the_mean_or_one_half_or_zero(
    dtype: str, mean: tuple[float, ...], configured: dict[str, float], fill: Any
) -> None:
    assert fed(spec("batch", 2, dtype=dtype), mean, inputs=configured).fill == fill


def test_only_the_first_input_gets_the_mean_of_the_features() -> None:
    both = [spec("batch", 2), spec("batch", 2, name="codec")]
    made = feed(both, RunSettings(), (7.0, 8.0))
    assert [i.fill for i in made.inputs] == [(7.0, 8.0), 0.5]
    assert fed(spec(), (7.0,)).fill == 0.5


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (TensorSpec("x", "sequence_type", None), "its input 'x' is a sequence"),
        (TensorSpec("x", "complex64", (1,)), "its input 'x' is a complex64"),
        (TensorSpec("x", "float", None), "the graph declares no shape for its input 'x'"),
    ],
)
def test_an_input_that_cannot_be_fed_is_an_error(given: TensorSpec, why: str) -> None:
    with pytest.raises(UnfeedableError, match=f"^{why}$"):
        fed(given)


def test_open_dimensions_are_named_by_symbol_or_position() -> None:
    assert list(open_dimensions(spec("batch", 3, None, -1))) == ["batch", "x.2", "x.3"]
    assert list(open_dimensions(TensorSpec("x", "float", None))) == []


def shapes(*given: TensorSpec, **settings: Any) -> list[list[tuple[int, ...]]]:
    """Return the shapes of all inputs, by attempt."""
    return [[i.shape for i in f.inputs] for f in feeds(given, RunSettings(**settings))]


def test_other_sizes_are_tried_after_the_default() -> None:
    tried = shapes(spec("N", 3, "H", "W"))
    assert tried[0] == [(1, 3, 64, 64)]
    for each in ((1, 3, 1, 1), (1, 3, 224, 224), (2, 3, 64, 64), (64, 3, 64, 64)):
        assert [each] in tried
    assert len({tuple(t) for t in tried}) == len(tried)


def test_a_dimension_that_has_a_size_keeps_it() -> None:
    assert shapes(spec(2, 3)) == [[(2, 3)]]
    assert shapes(spec("batch", None), dimensions={"batch": 8, "x.1": 9}) == [[(8, 9)]]
    assert {shape[1] for (shape,) in shapes(spec("batch", "n"), dimensions={"n": 9})} == {9}


def test_inputs_that_are_too_large_are_not_tried() -> None:
    first, *others = shapes(spec("N", 5_000_000, "H"))
    assert math.prod(first[0]) > LARGEST
    assert others == [[(1, 5_000_000, 1)]]


def test_a_cache_of_the_past_is_tried_empty() -> None:
    given = [spec("batch", "length"), spec("batch", "past_length", name="cache")]
    assert [(1, 64), (1, 0)] in shapes(*given)
    assert [(1, 1), (1, 0)] in shapes(*given)


@pytest.mark.parametrize(
    ("symbol", "size"),
    [
        ("past + length", 5),
        ("past+2 * length", 8),
        ("past + 1", 3),
        ("2*length", 6),
        ("length + other", 67),
        ("past - 1", 64),
        ("past + ", 64),
        ("7", 7),
        (" + ".join(["past"] * 10), 64),
    ],
)
def test_a_sum_of_symbols_has_the_size_of_its_terms(symbol: str, size: int) -> None:
    known = {"past": 2, "length": 3}
    made = feed([spec(1, symbol)], RunSettings(dimensions=known))
    assert made.inputs[0].shape == (1, size)
    set_by_hand = RunSettings(dimensions={**known, symbol: 99})
    assert feed([spec(1, symbol)], set_by_hand).inputs[0].shape == (1, 99)
