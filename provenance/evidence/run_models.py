# SPDX-License-Identifier: Apache-2.0
"""Running what was collected: each model that was read whole, several at once, in workers.

A worker gets a copy of the model's files that has the digests of the evidence.
"""

from __future__ import annotations

import difflib
import math
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from provenance.artifacts import digest, paths
from provenance.artifacts.paths import Tree
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.evidence.rows import ModelEvidence, RowEvidence, SidecarEvidence
from provenance.evidence.workers import map_in_threads
from provenance.runtime.feed import UnfeedableError, feeds, open_dimensions
from provenance.runtime.run import Outcome, Run
from provenance.runtime.settings import RunSettings, is_number
from provenance.runtime.trial import Job, Runtime

WORKERS: Final = 8
"""At once, at most: each may take all the memory that a model may take."""

LARGEST_MEAN: Final = 65504
"""The largest float16: a mean beyond it would be infinite in some inputs."""


def run_models(
    evidence: Evidence,
    runtime: Runtime,
    settings: RunSettings,
    progress: Progress | None = None,
    source: str = "the configuration",
) -> Evidence:
    """The evidence, and what came of running each model of which every file was read.

    `source` is where the settings were read, for messages.

    Raises:
        InputError: A file has changed since it was read, or a setting names nothing.
        UnavailableError: onnxruntime cannot be started.
    """
    _known_names(evidence, settings, source)
    jobs = {m.name: (m, _jobs(m, settings, s)) for r in evidence.rows for m, s in _models(r)}
    progress = progress or Progress()
    progress.begin("running models", len(jobs))
    stop = threading.Event()

    def run(entry: tuple[ModelEvidence, Sequence[Job]]) -> Run:
        model, jobs = entry
        with tempfile.TemporaryDirectory(prefix="onnx-provenance-") as folder:
            _copy(evidence.root, model, Path(folder))
            done = _attempt(runtime, jobs, Path(folder), settings, stop)
        progress.advance()
        return done

    done = map_in_threads(run, list(jobs.values()), most=WORKERS, stop=stop)
    runs = dict(zip(jobs, done, strict=True))
    return replace(evidence, ran=True, rows=tuple(_with_runs(r, runs) for r in evidence.rows))


def _models(row: RowEvidence) -> Iterable[tuple[ModelEvidence, SidecarEvidence | None]]:
    """The models of a row that can be run, each with its sidecar."""
    if row.onnx is not None and row.onnx.is_whole:
        yield row.onnx, row.sidecar
    if row.int8 is not None and row.int8.is_whole:
        present = row.int8_sidecar is not None and not row.int8_sidecar.missing
        yield row.int8, row.int8_sidecar if present else row.sidecar


def _attempt(
    runtime: Runtime,
    jobs: Sequence[Job],
    folder: Path,
    settings: RunSettings,
    stop: threading.Event,
) -> Run:
    """Run one model, with other sizes if it is refused. These share the time of one attempt."""
    done = runtime.attempt(jobs[0], folder, settings, stop)
    if done.outcome is not Outcome.REFUSED or not done.loaded:
        return done
    deadline = time.monotonic() + settings.timeout
    crashed: Run | None = None
    tried = 0
    for job in jobs[1:]:
        left = math.ceil(deadline - time.monotonic())
        if left <= 0:
            break
        again = runtime.attempt(job, folder, replace(settings, timeout=left), stop)
        tried += 1
        if again.outcome is Outcome.RAN:
            return again
        if again.outcome is Outcome.CRASHED:
            crashed = crashed or again
    return crashed or replace(done, tried=tried)


def _jobs(
    model: ModelEvidence, settings: RunSettings, sidecar: SidecarEvidence | None
) -> Sequence[Job]:
    """What to try, in this order, until the model runs."""
    name = model.name.rpartition("/")[2]
    assert model.facts is not None
    try:
        return [Job(name, each) for each in feeds(model.facts.inputs, settings, _mean(sidecar))]
    except UnfeedableError as e:
        return [Job(name, None, str(e))]


def _mean(sidecar: SidecarEvidence | None) -> tuple[float, ...]:
    """The sidecar's `feature_mean`, where it is a list of numbers that every input can hold."""
    value = sidecar.sidecar.get("feature_mean") if sidecar and sidecar.sidecar else None
    if not isinstance(value, list) or not all(is_number(v, LARGEST_MEAN) for v in value):
        return ()
    return tuple(float(v) for v in value)


def _copy(tree: Tree, model: ModelEvidence, folder: Path) -> None:
    """Copy the model's files into `folder`, under the names by which the model knows them.

    Raises:
        InputError: One is not what was read before.
    """
    beside = model.name.rpartition("/")[0]
    for file in {f.path: f for f in model.files}.values():
        target = folder / paths.relative(beside, file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tree.open(file.path) as source, target.open("xb") as copy:
            copied = digest.of_copy(source, copy)
        if copied != file.digest:
            raise InputError(
                f"{file.path} changed while it was checked",
                help="Check where nobody else writes, or check a copy.",
            )


def _with_runs(row: RowEvidence, runs: Mapping[str, Run]) -> RowEvidence:
    def with_run(model: ModelEvidence | None) -> ModelEvidence | None:
        return model and replace(model, run=runs.get(model.name))

    return replace(row, onnx=with_run(row.onnx), int8=with_run(row.int8))


def _known_names(evidence: Evidence, settings: RunSettings, source: str) -> None:
    """Raises InputError where a setting names nothing in any model: a typing error."""
    models = [m for r in evidence.rows for m in r.models]
    facts = [m.facts for m in models if m.facts is not None]
    if not evidence.whole or len(facts) < len(models):
        return  # it may name something in a model that was not read
    inputs = [i for f in facts for i in f.inputs]
    named = {
        "dimensions": (settings.dimensions, {d for i in inputs for d in open_dimensions(i)}),
        "inputs": (settings.inputs, {i.name for i in inputs}),
    }
    for table, (given, known) in named.items():
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                what = "open dimension of an input" if table == "dimensions" else "input"
                raise InputError(
                    f"{source}: `run.{table}` names {name!r}, which is no {what} of any model",
                    help=f"Did you mean {near[0]!r}?" if near else "Remove it.",
                )
