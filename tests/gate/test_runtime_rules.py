# SPDX-License-Identifier: Apache-2.0
"""The rules RUN0xx on values: what a run gave, against what the graph declares."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts import digest
from provenance.artifacts.onnx_model import OnnxFacts, TensorSpec
from provenance.artifacts.paths import Tree
from provenance.artifacts.registry import Registry
from provenance.config import Config
from provenance.evidence.evidence import Evidence
from provenance.evidence.rows import ModelEvidence
from provenance.gate.rules.case import Case
from provenance.gate.rules.runtime import RULES
from provenance.runtime.run import Outcome, Output, Run
from provenance.signing.trust_table import TrustTable

CONFIG = Config(Path("/"), "c.toml", "r.json", TrustTable(), (), "", "", Path("/"))
CASE = Case(
    Evidence(Tree(Path("/")), Registry("r.json", b"{}", digest.of_bytes(b""), ()), (), whole=True),
    None,
    CONFIG,
    datetime.date(2026, 6, 30),
)


def spec(*shape: int | str | None, name: str = "y", dtype: str = "float") -> TensorSpec:
    return TensorSpec(name, dtype, shape)


def output(*shape: int, name: str = "y", dtype: str = "float") -> Output:
    return Output(name, dtype, shape, 0)


def found(declared: list[TensorSpec], run: Run) -> dict[str, str]:
    """The message of each rule that fires."""
    model = ModelEvidence(
        "m.onnx", "m.onnx", facts=OnnxFacts(10, {"": 17}, (), tuple(declared), ())
    )
    judged: list[Any] = [rule() for rule in RULES]
    return {r.code: m for r in judged for m, _ in r.conclude(CASE, model, run)}


def differing(declared: list[TensorSpec], given: list[Output], **sizes: int) -> str | None:
    run = Run(Outcome.RAN, "1.2", outputs=tuple(given), sizes=sizes)
    return found(declared, run).get("RUN003", "").partition("declares: ")[2] or None


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        (spec(), output()),
        (spec(1, 6), output(1, 6)),
        (spec(None, -1), output(3, 4)),
        (TensorSpec("y", "float", None), output(3, 4)),
        (spec("n", "m"), output(1, 7)),
        (spec("new", "new"), output(7, 7)),
        (spec(3, dtype="undefined"), output(4)),
        (TensorSpec("y", "unknown", None), output(4)),
        (TensorSpec("y", "sequence_type", None), Output("y", None, None)),
        (TensorSpec("y", "optional_type", None), output(4)),
    ],
)
def test_outputs_that_are_what_is_declared(declared: TensorSpec, given: Output) -> None:
    assert differing([declared], [given], n=1) is None


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        (spec(), output(1), "expected y: float [], found float [1]"),
        (spec(1, 6), output(1, 7), "expected y: float [1, 6], found float [1, 7]"),
        (spec(1, 6), output(6, 1), "expected y: float [1, 6], found float [6, 1]"),
        (spec(None), output(3, 4), "expected y: float [?], found float [3, 4]"),
        (spec(0), output(1), "expected y: float [0], found float [1]"),
        (spec(1), output(1, dtype="double"), "expected y: float [1], found double [1]"),
        (spec("n"), output(2), "expected y: float [n], found float [2] with n=1"),
        (
            spec("new", "new"),
            output(7, 8),
            "expected y: float [new, new], found float [7, 8] with new=7",
        ),
        (spec(1, 6), output(6), "expected y: float [1, 6], found float [6]"),
        (spec(6), output(1, 6), "expected y: float [6], found float [1, 6]"),
        (spec(6, 1), output(6), "expected y: float [6, 1], found float [6]"),
        (
            spec(9),
            output(*range(1, 10)),
            "expected y: float [9], found float [1, 2, 3, 4, 5, 6, 7, 8]",
        ),
        (spec(1), Output("y", None, None), "expected y: float [1], found no tensor"),
        (spec(1), Output("y", None, (1,)), "expected y: float [1], found no tensor"),
        (spec(1), Output("y", "double", None), "expected y: float [1], found no tensor"),
    ],
)
def test_outputs_that_are_something_else(declared: TensorSpec, given: Output, message: str) -> None:
    assert differing([declared], [given], n=1) == message


def test_a_symbol_is_one_size_over_all_outputs() -> None:
    declared = [spec("k"), spec("k", name="z")]
    assert differing(declared, [output(3), output(3, name="z")]) is None
    assert differing(declared, [output(3), output(4, name="z")]) == (
        "expected z: float [k], found float [4] with k=3"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "expected 2 outputs (y, z), found 0 outputs ()"),
        ([output(1)], "expected 2 outputs (y, z), found 1 outputs (y)"),
        ([output(1, name="z"), output(1)], "expected 2 outputs (y, z), found 2 outputs (z, y)"),
    ],
)
def test_other_outputs_than_are_declared(given: list[Output], message: str) -> None:
    assert differing([spec(1), spec(1, name="z")], given) == message


def test_of_many_differences_three_are_shown() -> None:
    names = [f"y{i}" for i in range(9)]
    declared = [spec(1, name=n) for n in names]
    message = differing(declared, [output(2, name=n) for n in names])
    assert message is not None
    assert message.count("float [2]") == 3
    assert message.endswith("and 6 more")
    assert "expected 9 outputs (y0, y1, y2 and 6 more)" in (differing(declared, []) or "")


def test_names_and_shapes_of_any_length_make_short_messages() -> None:
    long = "n" * 100_000
    run = Run(
        Outcome.RAN,
        "1.2",
        outputs=(Output(long, "d" * 100_000, (1,) * 100_000, 1),),
        sizes={long: 1},
    )
    assert all(len(m) < 800 for m in found([spec(long, name=long)], run).values())
    refused = Run(Outcome.REFUSED, "1.2", sizes={f"{i}{long}": 1 for i in range(9)})
    assert len(found([], refused)["RUN002"]) < 800


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.TOO_LONG, "RUN004"),
        (Outcome.TOO_LARGE, "RUN004"),
        (Outcome.CRASHED, "RUN006"),
    ],
)
def test_what_went_on_is_said(outcome: Outcome, code: str, loaded: bool) -> None:
    messages = found([spec(1)], Run(outcome, "1.2", loaded, "why"))
    assert messages.keys() == {code}
    assert ("running" if loaded else "loading") in messages[code]


def test_what_is_refused_is_said_once() -> None:
    assert found([spec(1)], Run(Outcome.REFUSED, "1.2", False, "why")).keys() == {"RUN001"}
    assert found([spec(1)], Run(Outcome.REFUSED, "1.2", True, "why")).keys() == {"RUN002"}
    assert found([spec(1)], Run(Outcome.UNFED, "1.2", True, "why")).keys() == {"RUN007"}


def test_sizes_that_were_chosen_are_part_of_the_message() -> None:
    sizes = {name: size for size, name in enumerate("abcdef", 1)}
    refused = found([], Run(Outcome.REFUSED, "1.2", True, "why", sizes=sizes))
    assert refused["RUN002"] == "m.onnx does not run with a=1, b=2, c=3, d=4 and 2 more: why"
    assert found([], Run(Outcome.REFUSED, "1.2", True, "why"))["RUN002"] == (
        "m.onnx does not run: why"
    )
    often = Run(Outcome.REFUSED, "1.2", True, "why", sizes={"H": 64}, tried=16)
    assert found([], often)["RUN002"] == (
        "m.onnx does not run with H=64, nor with 16 other sizes: why"
    )
    unnamed = Run(Outcome.REFUSED, "1.2", True, "why", tried=16)
    assert found([], unnamed)["RUN002"].startswith(
        "m.onnx does not run with the default sizes, nor"
    )


def test_outputs_with_elements_that_are_not_finite_are_named_once() -> None:
    outputs = (Output("a", "float", (1,), 0), Output("b", "float", (1,), 1))
    declared = [spec(1, name="a"), spec(1, name="b")]
    assert found(declared, Run(Outcome.RAN, "1.2", outputs=outputs)) == {
        "RUN005": "m.onnx returns NaN or infinity in 'b'"
    }
    more = (*outputs, Output("c", "float", (1,), 1))
    declared.append(spec(1, name="c"))
    assert found(declared, Run(Outcome.RAN, "1.2", outputs=more)) == {
        "RUN005": "m.onnx returns NaN or infinity in 'b' and 1 more"
    }
