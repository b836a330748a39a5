# SPDX-License-Identifier: Apache-2.0
"""The process that loads and runs one model, for the process GATE.

Run as `python -I worker.py GATE ANSWER CPU MEMORY FOLDER...`. It is the only file that imports
onnxruntime, and never in the gate's own process. It imports nothing of this package: it runs in
Python's isolated mode, with the FOLDERs in which the gate has found onnxruntime and numpy.

It reads its job from standard input, one JSON object: `model`, a file in the current folder, and
`inputs`, null where the model is only to be loaded. It answers on the descriptor ANSWER, as
`provenance.runtime.listening` reads it. What a model can make onnxruntime print does not go there.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

MESSAGE: Final = 2000
"""Characters of an error message that are passed on."""

ELEMENTS: Final = 1 << 40
"""More than any memory holds, and few enough that numpy can say that it does not."""

NUMPY: Final[Mapping[str, str]] = {"float": "float32", "double": "float64", "string": "object"}
"""ONNX element types whose numpy type has another name."""

ONNX: Final = {numpy: onnx for onnx, numpy in NUMPY.items()}

FLOATS: Final = ("float", "double", "float16")
"""The types whose values numpy knows to be finite or not."""

BFLOAT16: Final = 16
"""`TensorProto.BFLOAT16` (onnx.proto)."""

SET_PARENT_DEATH_SIGNAL: Final = 1
"""`PR_SET_PDEATHSIG` (linux/prctl.h)."""

Say = Callable[..., None]


def main(arguments: Sequence[str]) -> None:
    """Do the one job."""
    gate, answer, cpu, memory, *folders = arguments
    end_with(int(gate))
    job = json.load(sys.stdin)
    sys.path += folders
    import onnxruntime

    limit(cpu=int(cpu), memory=int(memory))
    with os.fdopen(int(answer), "w", encoding="ascii") as stream:

        def say(stage: str, **more: Any) -> None:
            stream.write(json.dumps({"stage": stage, **more}) + "\n")
            stream.flush()

        say("ready", version=onnxruntime.__version__)
        attempt(job, say)


def end_with(gate: int) -> None:
    """Let the kernel end this process when the gate, the process that waits for it, is gone."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != gate:  # it went before that was set
        sys.exit("the gate is gone")


def limit(*, cpu: int, memory: int) -> None:
    """Set the limits of this process: seconds of CPU time, bytes of address space.

    No file can be written, and no core is dumped. The gate watches the wall clock.
    """
    import resource

    limits = {"RLIMIT_CPU": cpu, "RLIMIT_AS": memory, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
    for name, wanted in limits.items():
        kind = getattr(resource, name)
        most = resource.getrlimit(kind)[1]
        value = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):  # macOS knows RLIMIT_AS and refuses to set it
            if sys.platform == "linux":
                raise


def attempt(job: Mapping[str, Any], say: Say) -> None:
    """Load the model of a job, run it, and say what came of it."""
    try:
        session = load(job["model"])
        say("loaded")
        say("done", outputs=None if job["inputs"] is None else list(run(session, job["inputs"])))
    except Exception as e:  # whatever the runtime raises is what happens to this model
        message = str(e) or type(e).__name__
        say("failed", memory=isinstance(e, MemoryError), message=message[:MESSAGE])


def load(model: str) -> Any:
    """A session on the CPU, on one thread, that takes memory only as it needs it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 4  # fatal only: errors come as exceptions
    # By its first bytes a file can also pass for onnxruntime's own format, which was not judged.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(session: Any, inputs: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Run once, and say of each output its name, element type, shape and elements not finite."""
    import onnxruntime

    names = [o.name for o in session.get_outputs()]
    arrays = {spec["name"]: array(spec) for spec in inputs}
    if any(spec["dtype"] == "string" for spec in inputs):  # no OrtValue can be made of strings
        values = session.run(names, arrays)
    else:
        make = onnxruntime.OrtValue.ortvalue_from_numpy
        typed = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type
        feeds = {
            spec["name"]: typed(arrays[spec["name"]], BFLOAT16)
            if spec["dtype"] == "bfloat16"
            else make(arrays[spec["name"]])
            for spec in inputs
        }
        values = session.run_with_ort_values(names, feeds)
    for name, value in zip(names, values, strict=True):
        dtype, shape, nonfinite = describe(value)
        yield {"name": name, "dtype": dtype, "shape": shape, "nonfinite": nonfinite}


def array(spec: Mapping[str, Any]) -> Any:
    """The array that an input is fed; of bfloat16 its bits."""
    import numpy

    dtype, shape, fill = spec["dtype"], spec["shape"], spec["fill"]
    if math.prod(shape) > ELEMENTS:
        raise MemoryError(f"the input {spec['name']!r} has {math.prod(shape):,} elements")
    if dtype == "string":
        return numpy.full(shape, "", dtype=object)
    if dtype == "bfloat16":  # the upper half of a float
        bits = numpy.full(shape, fill, numpy.float32).view(numpy.uint32)
        return numpy.asarray(bits >> 16, numpy.uint16)
    return numpy.full(shape, fill, dtype=NUMPY.get(dtype, dtype))


def describe(value: Any) -> tuple[str | None, list[int] | None, int | None]:
    """Element type, shape and count of elements that are not finite; None of what has none."""
    import numpy

    if hasattr(value, "is_tensor"):  # an OrtValue
        if not value.is_tensor():
            return None, None, None
        dtype = value.data_type().removeprefix("tensor(").removesuffix(")")
        if dtype not in FLOATS:
            return dtype, list(value.shape()), None
        value = value.numpy()
    elif not isinstance(value, numpy.ndarray):  # a sequence, a map, an optional without a value
        return None, None, None
    dtype = ONNX.get(value.dtype.name, value.dtype.name)
    nonfinite = None
    if dtype in FLOATS:
        nonfinite = value.size - int(numpy.count_nonzero(numpy.isfinite(value)))
    return dtype, list(value.shape), nonfinite


if __name__ == "__main__":
    main(sys.argv[1:])
