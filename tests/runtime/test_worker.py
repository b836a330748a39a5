# SPDX-License-Identifier: Apache-2.0
"""The worker, in this process: without limits, which need a process of their own."""

from __future__ import annotations

import io
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from onnx import TensorProto

from provenance.runtime import worker
from tests.support import runnable

Claim = list[tuple[str, dict[str, Any]]]


def attempt(path: Path, content: bytes, *inputs: dict[str, Any], load_only: bool = False) -> Claim:
    model = path / "m.onnx"
    model.write_bytes(content)
    said: Claim = []
    job = {"model": str(model), "inputs": None if load_only else list(inputs)}
    worker.attempt(job, lambda stage, **more: said.append((stage, more)))
    return said


def given(
    dtype: str = "float", shape: tuple[int, ...] = (1, 6), fill: Any = 0.5, name: str = "x"
) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": shape, "fill": fill}


def outputs(said: Claim) -> list[tuple[Any, ...]]:
    assert [stage for stage, _ in said] == ["loaded", "done"], said
    return [(o["dtype"], o["shape"], o["nonfinite"]) for o in said[-1][1]["outputs"]]


@pytest.mark.parametrize(
    ("dtype", "fill", "nonfinite"),
    [
        *((dtype, 0.5, 0) for dtype in ("float", "double", "float16")),
        ("bfloat16", 0.5, None),
        *((dtype, 0, None) for dtype in ("int8", "int64", "uint16", "bool", "string")),
    ],
)
@pytest.mark.parametrize("shape", [(), (0, 2), (1, 2)])
def test_an_input_of_each_type_goes_in_and_comes_out(
    tmp_path: Path, dtype: str, fill: float, nonfinite: int | None, shape: tuple[int, ...]
) -> None:
    content = runnable.identity(getattr(TensorProto, dtype.upper()), shape, shape, opset=21)
    said = attempt(tmp_path, content, given(dtype, shape, fill))
    assert outputs(said) == [(dtype, list(shape), nonfinite)]


def test_an_array_has_one_value_for_each_last_index() -> None:
    made = worker.array(given(shape=(2, 3), fill=[1, 2.5, 3]))
    assert made.tolist() == [[1, 2.5, 3]] * 2
    (bits,) = worker.array(given("bfloat16", (1,), 0.5)).tolist()  # the upper half of a float
    assert numpy.array([bits << 16], numpy.uint32).view(numpy.float32).tolist() == [0.5]


@pytest.mark.parametrize(("fill", "nonfinite"), [(0.5, 6), (-1, 0), ([-1, -1, -1, -1, 1, 1], 2)])
def test_elements_that_are_not_finite_are_counted(
    tmp_path: Path, fill: Any, nonfinite: int
) -> None:
    said = attempt(tmp_path, runnable.RECIPES["gives-nan"](), given(fill=fill))
    assert outputs(said) == [("float", [1, 6], nonfinite)]


def test_a_sequence_that_comes_out_has_neither_type_nor_shape(tmp_path: Path) -> None:
    assert outputs(attempt(tmp_path, runnable.into_a_sequence(), given())) == [(None, None, None)]
    assert worker.describe([1, 2]) == (None, None, None)


def test_a_model_may_be_loaded_without_running(tmp_path: Path) -> None:
    said = attempt(tmp_path, runnable.of_a_sequence(), load_only=True)
    assert said == [("loaded", {}), ("done", {"outputs": None})]


@pytest.mark.parametrize(
    ("recipe", "stages", "message"),
    [
        ("of-an-operator-that-nobody-has", ["failed"], "com.example:Mystery"),
        ("for-a-batch-of-8", ["loaded", "failed"], "cannot be reshaped"),
    ],
)
def test_an_error_of_the_runtime_is_passed_on(
    tmp_path: Path, recipe: str, stages: list[str], message: str
) -> None:
    said = attempt(tmp_path, runnable.RECIPES[recipe](), given())
    assert [stage for stage, _ in said] == stages
    assert said[-1][1]["memory"] is False
    assert message in said[-1][1]["message"]


@pytest.mark.parametrize("shape", [(2**62,), (2**40, 2**40), (2**45, 0, 2**45, 2**62)])
def test_an_input_larger_than_memory_is_a_failure(tmp_path: Path, shape: tuple[int, ...]) -> None:
    said = attempt(tmp_path, runnable.identity(shape=shape, gives=None), given(shape=shape))
    assert said[-1][0] == "failed"
    assert said[-1][1]["memory"] is (0 not in shape)


@pytest.mark.parametrize(
    ("error", "memory", "message"),
    [
        (ValueError("long " * 10_000), False, ("long " * 10_000)[: worker.MESSAGE]),
        (MemoryError(), True, "MemoryError"),
    ],
)
def test_an_exception_is_described_by_its_message_or_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, memory: bool, message: str
) -> None:
    def fail(_model: str) -> Any:
        raise error

    monkeypatch.setattr(worker, "load", fail)
    assert attempt(tmp_path, b"") == [("failed", {"memory": memory, "message": message})]


def test_the_own_format_of_the_runtime_is_not_read(tmp_path: Path) -> None:
    said = attempt(tmp_path, b"\x1c\x00\x00\x00ORTM" + bytes(64), given())
    assert said[0][0] == "failed"
    assert "protobuf" in said[0][1]["message"].lower()


def test_the_job_is_read_from_standard_input_and_the_answer_written_to_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.onnx").write_bytes(runnable.identity())
    job = {"model": str(tmp_path / "m.onnx"), "inputs": [given()]}
    limits: list[dict[str, int]] = []
    gates: list[int] = []
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(job)))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(worker, "limit", lambda **given: limits.append(given))
    monkeypatch.setattr(worker, "end_with", lambda gate: gates.append(gate))
    reading, writing = os.pipe()
    with open(reading, "rb") as answers:
        worker.main(["1105", str(writing), "60", "1024", "/nowhere"])
        said = [json.loads(line) for line in answers]
    assert [s["stage"] for s in said] == ["ready", "loaded", "done"]
    assert gates == [1105]
    assert limits == [{"cpu": 60, "memory": 1024}]
    assert sys.path[-1] == "/nowhere"


def test_a_worker_ends_after_its_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    worker.end_with(os.getppid())
    with pytest.raises(SystemExit, match="the gate has ended"):
        worker.end_with(os.getppid() + 1)


def test_limits_are_lowered_and_never_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: set_to.update({kind: pair}))
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (5, 20))
    worker.limit(cpu=10, memory=1000)
    assert set_to == {
        resource.RLIMIT_CPU: (10, 10),
        resource.RLIMIT_AS: (20, 20),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
    }
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (5, resource.RLIM_INFINITY))
    worker.limit(cpu=10, memory=1000)
    assert set_to[resource.RLIMIT_AS] == (1000, 1000)


def test_a_limit_that_linux_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_kind: int, _pair: tuple[int, int]) -> None:
        raise ValueError("refused")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(ValueError, match="refused"):
        worker.limit(cpu=10, memory=1000)
    monkeypatch.setattr(sys, "platform", "darwin")
    worker.limit(cpu=10, memory=1000)
