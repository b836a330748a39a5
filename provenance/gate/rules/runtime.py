# SPDX-License-Identifier: Apache-2.0
"""RUN0xx: what happens when a runtime loads and runs the model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from provenance.artifacts.onnx_model import TensorSpec
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.gate.finding import Finding, Severity
from provenance.gate.rules.base import ModelRule, Rule, some
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Phase
from provenance.runtime.feed import open_dimensions
from provenance.runtime.run import Outcome, Output, Run

_ANYTHING: Final = (
    *("unknown", "undefined"),
    *("sequence_type", "map_type", "optional_type", "sparse_tensor_type"),
)
"""What says nothing about a tensor; that a sequence is one is checked by the runtime."""


class _RuntimeRule(ModelRule):
    for_consumer = True
    phase = Phase.RUNTIME

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterator[Finding]:
        field = "int8_sha256" if model is row.int8 else "onnx"
        for message, help in self.conclude(case, model, model.run) if model.run else ():
            yield self.in_row(case, row, field, message, help, about=model.path)

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        """What is wrong with the run of one model, and what to do next."""
        raise NotImplementedError


class DoesNotLoad(_RuntimeRule):
    """The runtime refuses to load a model.

    ## What it does
    With `--run`, loads every model with onnxruntime, in a process of its own.

    ## Why it matters
    The file is ONNX and has the right digest, and no consumer can use it: it imports an opset that
    the runtime does not know, has a node without an implementation, or a graph that does not fit
    together.

    ## Example
    A model of opset 99.

    ## How to fix
    Export the model again for the runtime that its consumers have. A model that is made for another
    runtime, with operators of its own, can be deferred.
    """

    code = "RUN001"
    slug = "does-not-load"
    deferrable = True

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        if run.outcome is Outcome.REFUSED and not run.loaded:
            yield (
                f"{model.name} does not load: {run.reason}",
                f"Export it again for onnxruntime {run.version}, or declare a [[deferral]] where "
                "it is made for another runtime.",
            )


class DoesNotRun(_RuntimeRule):
    """A model loads, and fails when it is run.

    ## What it does
    With `--run`, runs every model on tensors of the declared shapes, filled with harmless values:
    `docs/run.md` lists them. If a model with open dimensions does not run with their default sizes,
    it is run with other usual ones, until one works.

    ## Why it matters
    The declared inputs are the contract of the model. One that cannot be run on them fails at its
    first use.

    ## Example
    The graph declares `[batch, 6]`, and a `Reshape` inside it works for `[8, 6]` only.

    ## How to fix
    Declare the shapes that the model takes, and export it again. If an open dimension needs a size
    that was not tried, or an input another value, set them in `[run]` of the configuration:
    `dimensions = { H = 640, W = 480 }`.
    """

    code = "RUN002"
    slug = "does-not-run"
    deferrable = True

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        if run.outcome is Outcome.REFUSED and run.loaded:
            given = [f"{name[:40]}={size}" for name, size in run.sizes.items()]
            sizes = some(given, 4) or ("the default sizes" if run.tried else "")
            others = f", nor with {run.tried} other sizes" if run.tried else ""
            yield (
                f"{model.name} does not run{f' with {sizes}' if sizes else ''}{others}: "
                f"{run.reason}",
                f"Set the sizes and values that it takes in [run] of the configuration"
                f"{_setting(model)}, or declare its shapes and export it again.",
            )


class OutputsDiffer(_RuntimeRule):
    """A model gives other outputs than its graph declares.

    ## What it does
    With `--run`, compares what the model gave with what its graph declares: how many outputs, their
    names, element types, ranks and fixed dimensions. A symbol such as `batch` has to be the same
    size wherever it stands, in inputs and outputs.

    ## Why it matters
    Consumers size their buffers by the declaration. onnxruntime only warns where an output has
    another shape; a C consumer reads beyond it.

    ## Example
    The graph declares `score: float [batch]` and gives `[1, 1]`.

    ## How to fix
    Declare the outputs that the model gives, and export it again.
    """

    code = "RUN003"
    slug = "outputs-differ"
    deferrable = True

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        if run.outcome is Outcome.RAN and model.facts is not None:
            differing = list(_differing(model.facts.outputs, run))
            if differing:
                yield (
                    f"{model.name} gives other outputs than it declares: "
                    f"{some(differing, 3, '; ')}",
                    "Declare the outputs that it gives, and export it again.",
                )


class OverLimit(_RuntimeRule):
    """A model takes more time or memory than it may.

    ## What it does
    With `--run`, stops a model that is not done after `run.timeout` seconds, and does not give it
    more than `run.memory` MiB. `docs/run.md` has the defaults.

    ## Why it matters
    A model can hang or ask for all memory that there is: a loop of 2⁶² rounds, a tensor of a
    terabyte. Whoever loads it is stopped by it. A finding is better than a dead gate.

    ## Example
    A `Loop` whose trip count is 4,611,686,018,427,387,904.

    ## How to fix
    Do not use a model of somebody else's that does so. Where the model is known to be large, raise
    `timeout` or `memory` in `[run]` of the configuration. It cannot be deferred: a limit is what
    can be decided instead.
    """

    code = "RUN004"
    slug = "over-limit"

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        settings = case.config.run
        doing = "running" if run.loaded else "loading"
        if run.outcome is Outcome.TOO_LONG:
            yield (
                f"{model.name} was still {doing} after {settings.timeout} s",
                "Do not use it where it is not known to be large. Where it is, raise `timeout` in "
                "[run] of the configuration.",
            )
        elif run.outcome is Outcome.TOO_LARGE:
            yield (
                f"{model.name} needs more than {settings.memory:,} MiB while {doing}: {run.reason}",
                "Do not use it where it is not known to be large. Where it is, raise `memory` in "
                "[run] of the configuration.",
            )


class OutputsNotFinite(_RuntimeRule):
    """A model gives NaN or infinity for harmless inputs.

    ## What it does
    With `--run`, counts elements of floating-point outputs that are not finite. A warning: the
    inputs are made up, and a model may be undefined for them.

    ## Why it matters
    Weights that are NaN give NaN for every input, and so does a division by a standard deviation of
    zero. Such a model loads, runs and has the right shapes.

    ## Example
    An export of a training run that had diverged.

    ## How to fix
    Look at the weights and at the normalisation. Where the model is right and the inputs are not,
    say what to feed in `[run.inputs]` of the configuration.
    """

    code = "RUN005"
    slug = "outputs-not-finite"
    severity = Severity.WARNING

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        bad = [repr(o.name[:60]) for o in run.outputs if o.nonfinite]
        if bad:
            yield (
                f"{model.name} gives NaN or infinity in {some(bad, 1)}",
                "Look at its weights and its normalisation, or say what to feed it in [run.inputs] "
                "of the configuration.",
            )


class RuntimeCrashes(_RuntimeRule):
    """A model takes the process down that loads or runs it.

    ## What it does
    With `--run`, watches how the process of each model ends. Each model has one of its own, so no
    other model is lost with it.

    ## Why it matters
    A model that makes the runtime crash stops every consumer that opens it, and a crash is often
    the first sign of memory that can be corrupted. That is no exception to live with: it cannot be
    deferred.

    ## Example
    SIGSEGV while a node with a negative axis is run.

    ## How to fix
    Do not use this model. If it is yours, export it again, and report the crash to the runtime.
    """

    code = "RUN006"
    slug = "runtime-crashes"

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        if run.outcome is Outcome.CRASHED:
            doing = "running" if run.loaded else "loading"
            yield (
                f"onnxruntime {run.version} crashes while {doing} {model.name}: {run.reason}",
                "Do not use this model. If it is yours, export it again, and report the crash.",
            )


class NotRun(_RuntimeRule):
    """A model was loaded and not run, because no input can be made for it.

    ## What it does
    With `--run`, says which models were only loaded: an input is a sequence, a map or an optional,
    has a type that there is no value for, or declares no shape.

    ## Why it matters
    Nothing is known of what such a model gives. That should not look like a pass.

    ## Example
    `boxes: sequence_type`

    ## How to fix
    Declare the shape of the input. Where it is meant to be what it is, try the model another way.
    """

    code = "RUN007"
    slug = "not-run"
    severity = Severity.WARNING

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        if run.outcome is Outcome.UNFED:
            yield (
                f"{model.name} was loaded and not run: {run.reason}",
                "Declare the shape of the input, or try the model another way.",
            )


def _setting(model: ModelEvidence) -> str:
    """An example of the setting for a model with open dimensions, as TOML."""
    inputs = model.facts.inputs if model.facts is not None else ()
    names = [n[:40] for i in inputs for n in open_dimensions(i)]
    # The first one is usually the batch.
    name = next(iter(names[1:] or names), None)
    if name is None:
        return ""
    key = name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    return f", such as `dimensions = {{ {key} = {224 if len(names) > 1 else 8} }}`"


_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def _differing(specs: Sequence[TensorSpec], run: Run) -> Iterator[str]:
    """What the outputs are instead of what is declared of them, in words."""
    declared, given = [s.name for s in specs], [o.name for o in run.outputs]
    if declared != given:
        yield f"{_names(declared)} declared, {_names(given)} given"
        return
    sizes = dict(run.sizes)
    for spec, output in zip(specs, run.outputs, strict=True):
        # Where a symbol stands for the first time, it takes the size that is there.
        if not _fits(spec, output, sizes):
            symbols = [d for d in spec.shape or () if isinstance(d, str)]
            known = ", ".join(f"{d[:40]}={sizes[d]}" for d in dict.fromkeys(symbols) if d in sizes)
            yield f"{str(spec)[:100]} is {_shown(output)}{f' with {known}' if known else ''}"


def _fits(spec: TensorSpec, output: Output, sizes: dict[str, int]) -> bool:
    if spec.dtype in _ANYTHING:
        return True
    if output.dtype != spec.dtype:
        return False
    if spec.shape is None or output.shape is None:
        return True
    if len(spec.shape) != len(output.shape):
        return False
    for wanted, size in zip(spec.shape, output.shape, strict=True):
        expected = sizes.setdefault(wanted, size) if isinstance(wanted, str) else wanted
        if expected is not None and 0 <= expected != size:  # exporters write -1 for what is open
            return False
    return True


def _shown(output: Output) -> str:
    if output.dtype is None or output.shape is None:
        return "no tensor"
    return f"{output.dtype[:40]} [{', '.join(map(str, output.shape[:8]))}]"


def _names(names: Sequence[str]) -> str:
    return f"{len(names)} outputs ({some([n[:40] for n in names], 3)})"


RULES: Iterable[type[Rule]] = (
    DoesNotLoad,
    DoesNotRun,
    OutputsDiffer,
    OverLimit,
    OutputsNotFinite,
    RuntimeCrashes,
    NotRun,
)
