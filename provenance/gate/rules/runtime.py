# SPDX-License-Identifier: Apache-2.0
"""RUN0xx: the results of loading and running each model with onnxruntime."""

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
"""Declared types that are not compared: they do not describe a tensor."""


class _RuntimeRule(ModelRule):
    for_consumer = True
    phase = Phase.RUNTIME

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterator[Finding]:
        field = "int8_sha256" if model is row.int8 else "onnx"
        for message, help in self.conclude(case, model, model.run) if model.run else ():
            yield self.in_row(case, row, field, message, help, about=model.path)

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        """Yield a message and a help for each problem with the run of one model."""
        raise NotImplementedError


class DoesNotLoad(_RuntimeRule):
    """The runtime refuses to load a model.

    ## What it does
    With `--run`, loads every model with onnxruntime, each in a separate process.

    ## Why it matters
    The file is a valid ONNX file with the right digest, but no consumer can use it. It imports an
    opset that the runtime does not support, has a node without an implementation, or has an
    inconsistent graph.

    ## Example
    A model of opset 99.

    ## How to fix
    Export the model again for the runtime that its consumers have. If a model is made for another
    runtime with its own operators, defer the rule.
    """

    code = "RUN001"
    slug = "does-not-load"
    deferrable = True

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        if run.outcome is Outcome.REFUSED and not run.loaded:
            yield (
                f"{model.name} does not load: {run.reason}",
                f"Export it again for onnxruntime {run.version}, or declare a [[deferral]] if it "
                "is made for another runtime.",
            )


class DoesNotRun(_RuntimeRule):
    """A model loads, but fails when it is run.

    ## What it does
    With `--run`, runs every model on tensors of the declared shapes, filled with the harmless
    values that `docs/run.md` lists. If a model with open dimensions fails with their default sizes,
    other common sizes are tried until one works.

    ## Why it matters
    The declared inputs are the contract of the model. A model that cannot run on them fails at its
    first use.

    ## Example
    The graph declares `[batch, 6]`, but a `Reshape` inside it works for `[8, 6]` only.

    ## How to fix
    Declare the shapes that the model takes, and export it again. If an open dimension needs another
    size, or an input another value, set them in `[run]` of the configuration:
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
    """The outputs of a model differ from those that its graph declares.

    ## What it does
    With `--run`, compares the outputs of the model with those that its graph declares: their
    number, names, element types, ranks and fixed dimensions. A symbolic dimension such as `batch`
    must have the same size in all inputs and outputs.

    ## Why it matters
    Consumers allocate their buffers according to the declaration. If an output has another shape,
    onnxruntime only warns, and a C consumer reads out of bounds.

    ## Example
    The graph declares `score: float [batch]`, but the output is `[1, 1]`.

    ## How to fix
    Declare the outputs that the model returns, and export it again.
    """

    code = "RUN003"
    slug = "outputs-differ"
    deferrable = True

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        if run.outcome is Outcome.RAN and model.facts is not None:
            differing = list(_differing(model.facts.outputs, run))
            if differing:
                yield (
                    f"the outputs of {model.name} differ from those it declares: "
                    f"{some(differing, 3, '; ')}",
                    "Declare the outputs that it returns, and export it again.",
                )


class OverLimit(_RuntimeRule):
    """A model exceeds the time or memory limit.

    ## What it does
    With `--run`, stops a model after `run.timeout` seconds and limits it to `run.memory` MiB.
    `docs/run.md` lists the defaults.

    ## Why it matters
    A model can hang or request all memory, for example with a loop of 2⁶² rounds or a tensor of a
    terabyte. It blocks every program that loads it.

    ## Example
    A `Loop` whose trip count is 4,611,686,018,427,387,904.

    ## How to fix
    Do not use such a model from another project. If the model is known to be large, raise `timeout`
    or `memory` in `[run]` of the configuration. The rule cannot be deferred; raise the limit
    instead.
    """

    code = "RUN004"
    slug = "over-limit"

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        settings = case.config.run
        doing = "running" if run.loaded else "loading"
        if run.outcome is Outcome.TOO_LONG:
            yield (
                f"{model.name} was still {doing} after {settings.timeout} s",
                "Do not use it unless it is known to be large. If it is, raise `timeout` in [run] "
                "of the configuration.",
            )
        elif run.outcome is Outcome.TOO_LARGE:
            yield (
                f"{model.name} needs more than {settings.memory:,} MiB while {doing}: {run.reason}",
                "Do not use it unless it is known to be large. If it is, raise `memory` in [run] "
                "of the configuration.",
            )


class OutputsNotFinite(_RuntimeRule):
    """A model returns NaN or infinity for harmless inputs.

    ## What it does
    With `--run`, looks for elements of floating-point outputs that are not finite. This is only a
    warning, because the inputs are generated and the model may be undefined for them.

    ## Why it matters
    NaN weights give NaN for every input, and so does a division by a standard deviation of zero.
    Such a model loads, runs and has the right shapes.

    ## Example
    An export of a training run that had diverged.

    ## How to fix
    Check the weights and the normalisation. If the model is right and the inputs are not, set the
    inputs in `[run.inputs]` of the configuration.
    """

    code = "RUN005"
    slug = "outputs-not-finite"
    severity = Severity.WARNING

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        bad = [repr(o.name[:60]) for o in run.outputs if o.nonfinite]
        if bad:
            yield (
                f"{model.name} returns NaN or infinity in {some(bad, 1)}",
                "Check its weights and its normalisation, or set its inputs in [run.inputs] of the "
                "configuration.",
            )


class RuntimeCrashes(_RuntimeRule):
    """A model crashes the process that loads or runs it.

    ## What it does
    With `--run`, checks how the process of each model ends. Each model has a separate process, so a
    crash does not affect the others.

    ## Why it matters
    A model that crashes the runtime crashes every consumer that opens it, and a crash is often the
    first sign of memory corruption. For this reason the rule cannot be deferred.

    ## Example
    SIGSEGV while a node with a negative axis runs.

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
    """A model was loaded but not run, because no input can be generated for it.

    ## What it does
    With `--run`, lists the models that were only loaded because an input is a sequence, a map or an
    optional, has a type without generated values, or declares no shape.

    ## Why it matters
    The outputs of such a model are unknown, and this must not look like a pass.

    ## Example
    `boxes: sequence_type`

    ## How to fix
    Declare the shape of the input. If the declaration is right, test the model in another way.
    """

    code = "RUN007"
    slug = "not-run"
    severity = Severity.WARNING

    def conclude(self, case: Case, model: ModelEvidence, run: Run) -> Iterator[tuple[str, str]]:
        if run.outcome is Outcome.UNFED:
            yield (
                f"{model.name} was loaded but not run: {run.reason}",
                "Declare the shape of the input, or test the model in another way.",
            )


def _setting(model: ModelEvidence) -> str:
    """Return an example of the setting for a model with open dimensions, as TOML, or ""."""
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
    """Yield the differences between declared and actual outputs, for a message."""
    declared, actual = [s.name for s in specs], [o.name for o in run.outputs]
    if declared != actual:
        yield f"expected {_names(declared)}, found {_names(actual)}"
        return
    sizes = dict(run.sizes)
    for spec, output in zip(specs, run.outputs, strict=True):
        # The first occurrence of a symbol fixes its size.
        if not _fits(spec, output, sizes):
            symbols = [d for d in spec.shape or () if isinstance(d, str)]
            known = ", ".join(f"{d[:40]}={sizes[d]}" for d in dict.fromkeys(symbols) if d in sizes)
            sizes_known = f" with {known}" if known else ""
            yield f"expected {str(spec)[:100]}, found {_shown(output)}{sizes_known}"


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
        if expected is not None and 0 <= expected != size:  # exporters write -1 if it is open
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
