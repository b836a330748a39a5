# SPDX-License-Identifier: Apache-2.0
"""The worker: a process that loads and runs one model, for the process GATE.

Run as `python -I worker.py GATE ANSWER CPU MEMORY FOLDER...`. This is the only file that imports
onnxruntime, and never in the gate's own process. It imports nothing from this package: it runs in
Python's isolated mode, with the FOLDERs in which the gate found onnxruntime and numpy.

The worker reads its job from standard input, a JSON object with `model`, a file in the current
folder, and `inputs`, or null to only load the model. It answers on the descriptor ANSWER, in the
format of `provenance.runtime.listening`. Output that a model causes onnxruntime to print does not
go there.
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
"""Elements of an input: more than fit in memory, but few enough for numpy to report that."""

NUMPY: Final[Mapping[str, str]] = {"float": "float32", "double": "float64", "string": "object"}
"""ONNX element types that have another name in numpy."""

ONNX: Final = {numpy: onnx for onnx, numpy in NUMPY.items()}

FLOATS: Final = ("float", "double", "float16")
"""The element types for which numpy can check whether a value is finite."""

BFLOAT16: Final = 16
"""`TensorProto.BFLOAT16` (onnx.proto)."""

SET_PARENT_DEATH_SIGNAL: Final = 1
"""`PR_SET_PDEATHSIG` (linux/prctl.h)."""

Say = Callable[..., None]


def main(arguments: Sequence[str]) -> None:
    """Run the job on standard input and answer."""
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
    """Let the kernel kill this process when the gate, which waits for it, ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != gate:  # it ended before the signal was set
        sys.exit("the gate has ended")


def limit(*, cpu: int, memory: int) -> None:
    """Set the limits of this process: `cpu` in seconds, `memory` in bytes of address space.

    The process can write no file and dumps no core. The gate limits the elapsed time.
    """
    import resource

    limits = {"RLIMIT_CPU": cpu, "RLIMIT_AS": memory, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
    for name, wanted in limits.items():
        kind = getattr(resource, name)
        most = resource.getrlimit(kind)[1]
        value = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):  # macOS has RLIMIT_AS but refuses to set it
            if sys.platform == "linux":
                raise


def attempt(job: Mapping[str, Any], say: Say) -> None:
    """Load the model of a job, run it, and report the result."""
    try:
        session = load(job["model"])
        say("loaded")
        say("done", outputs=None if job["inputs"] is None else list(run(session, job["inputs"])))
    except Exception as e:  # any error of the runtime is a result for this model
        message = str(e) or type(e).__name__
        say("failed", memory=isinstance(e, MemoryError), message=message[:MESSAGE])


def load(model: str) -> Any:
    """Return a session on the CPU with one thread, which allocates memory only as needed."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 4  # fatal only: errors come as exceptions
    # Otherwise onnxruntime could take a file for its own format, which the gate has not checked.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(session: Any, inputs: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Run the model once, and yield name, element type, shape and non-finite count of outputs."""
    import onnxruntime

    names = [o.name for o in session.get_outputs()]
    arrays = {spec["name"]: array(spec) for spec in inputs}
    if any(spec["dtype"] == "string" for spec in inputs):  # an OrtValue cannot hold strings
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
    """Return the array for an input; for bfloat16, its bits."""
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
    """Return element type, shape and number of non-finite elements; None for what is unknown."""
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
