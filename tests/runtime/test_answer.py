# SPDX-License-Identifier: Apache-2.0
"""The answer of a worker is read strictly."""

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


def test_an_answer_has_the_outputs_of_the_model_if_it_was_run() -> None:
    outputs = (Output("y", "float", (1, 2), 0), Output("s", None, None))
    assert after([READY, LOADED, DONE]) == Answer("1.2", True, True, outputs)
    answer = after([READY, LOADED, {"stage": "done", "outputs": None}])
    assert (answer.finished, answer.outputs) == (True, None)


@pytest.mark.parametrize("before", [[READY], [READY, LOADED]])
def test_a_failure_is_that_of_loading_or_of_running(before: list[Any]) -> None:
    answer = after([*before, FAILED])
    assert (answer.loaded, answer.finished, answer.error) == (len(before) == 2, True, "no")


OUTPUTS: list[Any] = [
    *(None, [], {}, OUTPUT | {"name": 1}, OUTPUT | {"dtype": None}, OUTPUT | {"shape": None}),
    *(OUTPUT | {"shape": [size]} for size in (-1, True, 1.0)),
    *(OUTPUT | {"nonfinite": -1}, OUTPUT | {"nonfinite": "0"}, SEQUENCE | {"nonfinite": 1}),
]


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
        *([READY, LOADED, {"stage": "done", "outputs": [OUTPUT, o]}] for o in OUTPUTS),
    ],
)
def test_a_malformed_or_unexpected_message_is_no_answer(said: list[Any]) -> None:
    with pytest.raises(NoAnswerError):
        after(said)
