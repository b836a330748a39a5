# SPDX-License-Identifier: Apache-2.0
"""A worker's answer is read strictly: whatever is not expected is no answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from provenance.runtime.listening import Answer, NoAnswerError
from provenance.runtime.run import Output

READY = {"stage": "ready", "version": "1.2"}
LOADED = {"stage": "loaded"}
OUTPUT = {"name": "y", "dtype": "float", "shape": [1, 2], "nonfinite": 0}
SEQUENCE = {"name": "s", "dtype": None, "shape": None, "nonfinite": None}
DONE = {"stage": "done", "outputs": [OUTPUT, SEQUENCE]}
FAILED = {"stage": "failed", "memory": False, "message": "no"}


def after(said: Sequence[Any]) -> Answer:
    answer = Answer()
    for line in said:
        answer = answer.then(line if isinstance(line, bytes) else json.dumps(line).encode())
    return answer


def test_a_whole_answer() -> None:
    outputs = (Output("y", "float", (1, 2), 0), Output("s", None, None))
    assert after([READY, LOADED, DONE]) == Answer("1.2", True, True, outputs)


def test_a_model_that_was_only_loaded_has_no_outputs() -> None:
    answer = after([READY, LOADED, {"stage": "done", "outputs": None}])
    assert (answer.finished, answer.outputs) == (True, None)


@pytest.mark.parametrize("before", [[READY], [READY, LOADED]])
def test_a_failure_says_how_far_it_went(before: list[Any]) -> None:
    answer = after([*before, FAILED])
    assert (answer.loaded, answer.finished, answer.error) == (len(before) == 2, True, "no")


@pytest.mark.parametrize(
    "said",
    [
        [b""],
        [b"nonsense"],
        [b"[]"],
        [b'{"stage": "ready", "stage": "ready", "version": "1"}'],
        [b"[" * 100_000],
        [{}],
        [LOADED],
        [DONE],
        [FAILED],
        [{"stage": "ready"}],
        [{"stage": "ready", "version": 1}],
        [READY, READY],
        [READY, DONE],
        [READY, LOADED, LOADED],
        [READY, LOADED, {"stage": "done"}],
        [READY, LOADED, {"stage": "done", "outputs": {}}],
        [READY, {"stage": "failed", "memory": 1, "message": ""}],
        [READY, {"stage": "failed", "memory": True, "message": None}],
        [READY, LOADED, DONE, DONE],
        [READY, FAILED, LOADED],
    ],
)
def test_anything_else_is_no_answer(said: list[Any]) -> None:
    with pytest.raises(NoAnswerError):
        after(said)


@pytest.mark.parametrize(
    "output",
    [
        None,
        [],
        {},
        OUTPUT | {"name": 1},
        OUTPUT | {"dtype": None},
        OUTPUT | {"shape": None},
        OUTPUT | {"shape": [-1]},
        OUTPUT | {"shape": [True]},
        OUTPUT | {"shape": [1.0]},
        OUTPUT | {"nonfinite": -1},
        OUTPUT | {"nonfinite": "0"},
        SEQUENCE | {"nonfinite": 1},
    ],
)
def test_an_output_that_is_none_is_no_answer(output: Any) -> None:
    with pytest.raises(NoAnswerError):
        after([READY, LOADED, {"stage": "done", "outputs": [OUTPUT, output]}])
