# SPDX-License-Identifier: Apache-2.0
"""Run every model whose files were all read, several at once, in worker processes.

A worker runs a copy of the model's files. Each copied file must have the digest of the evidence.
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
from provenance.artifacts.writing import changed
from provenance.errors import InputError
from provenance.evidence.rows import ModelEvidence, RowEvidence, SidecarEvidence
from provenance.evidence.workers import map_in_threads
from provenance.runtime.feed import UnfeedableError, feeds, open_dimensions
from provenance.runtime.run import Outcome, Run, RunNames
from provenance.runtime.settings import RunSettings, is_number
from provenance.runtime.trial import Job, Runtime

WORKERS: Final = 8
"""Maximum number of concurrent workers: each may use the full memory limit of a model."""

LARGEST_MEAN: Final = 65504
"""The largest float16. A larger mean would be infinite in float16 inputs."""


def names_in(rows: Iterable[RowEvidence]) -> RunNames:
    """Return the names in the models of some rows."""
    facts = [m.facts for row in rows for m in row.models]
    inputs = [i for f in facts if f is not None for i in f.inputs]
    return RunNames(
        frozenset(d for i in inputs for d in open_dimensions(i)),
        frozenset(i.name for i in inputs),
        None not in facts,
    )


def refuse_unknown(settings: RunSettings, names: RunNames, source: str) -> None:
    """Check that every setting names something in a model.

    Raises:
        InputError: If a setting of the file `source` does not.
    """
    if not names.complete:
        return
    named = {
        "dimensions": (settings.dimensions, names.dimensions, "open dimension of an input"),
        "inputs": (settings.inputs, names.inputs, "input"),
    }
    for table, (given, known, what) in named.items():
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                raise InputError(
                    f"{source}: `run.{table}` names {name!r}, but no model has such an {what}",
                    help=f"Did you mean {near[0]!r}?" if near else "Remove it.",
                )


def run_models(
    root: Tree,
    rows: Sequence[RowEvidence],
    runtime: Runtime,
    settings: RunSettings,
    known: Mapping[str, Run],
) -> tuple[RowEvidence, ...]:
    """Return the rows with the result of running each model whose files were all read.

    Models in `known` are not run again: it holds the results of earlier runs, by name.

    Raises:
        InputError: If a file has changed since it was read.
        UnavailableError: If onnxruntime cannot be started.
    """
    jobs = {
        m.name: (m, _jobs(m, settings, sidecar))
        for row in rows
        for m, sidecar in _models(row)
        if m.name not in known
    }
    stop = threading.Event()

    def run(entry: tuple[ModelEvidence, Sequence[Job]]) -> Run:
        model, jobs = entry
        with tempfile.TemporaryDirectory(prefix="onnx-provenance-") as folder:
            _copy(root, model, Path(folder))
            return _attempt(runtime, jobs, Path(folder), settings, stop)

    done = map_in_threads(run, list(jobs.values()), most=WORKERS, stop=stop)
    runs = {**known, **dict(zip(jobs, done, strict=True))}
    return tuple(_with_runs(row, runs) for row in rows)


def _models(row: RowEvidence) -> Iterable[tuple[ModelEvidence, SidecarEvidence | None]]:
    """Yield the models of a row that can be run, each with its sidecar.

    An int8 variant without a sidecar has the sidecar of the model.
    """
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
    """Run one model, and try other input sizes if it refuses.

    The first attempt has the whole timeout; all others share a second one.
    """
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
    """Return the jobs to try, in this order, until the model runs."""
    name = model.name.rpartition("/")[2]
    assert model.facts is not None
    try:
        return [Job(name, each) for each in feeds(model.facts.inputs, settings, _mean(sidecar))]
    except UnfeedableError as e:
        return [Job(name, None, str(e))]


def _mean(sidecar: SidecarEvidence | None) -> tuple[float, ...]:
    """Return the sidecar's `feature_mean`, or an empty tuple if an input could not hold it."""
    value = sidecar.sidecar.get("feature_mean") if sidecar and sidecar.sidecar else None
    if not isinstance(value, list) or not all(is_number(v, LARGEST_MEAN) for v in value):
        return ()
    return tuple(float(v) for v in value)


def _copy(tree: Tree, model: ModelEvidence, folder: Path) -> None:
    """Copy the model's files into `folder`, under the names that the model uses.

    Raises:
        InputError: If a file has changed since it was read.
    """
    beside = model.name.rpartition("/")[0]
    for file in {f.path: f for f in model.files}.values():
        target = folder / paths.relative(beside, file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tree.open(file.path) as source, target.open("xb") as copy:
            copied = digest.of_copy(source, copy)
        if copied != file.digest:
            raise changed(file.path)


def _with_runs(row: RowEvidence, runs: Mapping[str, Run]) -> RowEvidence:
    def with_run(model: ModelEvidence | None) -> ModelEvidence | None:
        return model and replace(model, run=runs.get(model.name))

    return replace(row, onnx=with_run(row.onnx), int8=with_run(row.int8))
