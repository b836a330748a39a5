# SPDX-License-Identifier: Apache-2.0
"""From a configuration to evidence: the first step of every operation on a registry."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.artifacts import journal
from provenance.artifacts import registry as registries
from provenance.artifacts.baseline import BaselineName, named
from provenance.artifacts.paths import Tree
from provenance.artifacts.registry import Registry
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.baseline import open_baseline
from provenance.evidence.collect import collect, survey
from provenance.evidence.collect_baseline import collect_baseline
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.gate import pool

if TYPE_CHECKING:
    from concurrent.futures import Executor


def unread_from(executor: Executor | None) -> int:
    """From how many rows on a registry is judged unit by unit; with an executor, each is."""
    return pool.LARGE if executor is None else 1


def today_utc() -> datetime.date:
    """Today's date, by which deferrals expire."""
    return datetime.datetime.now(datetime.UTC).date()


def baseline_of(config: Config, given: str | None) -> BaselineName | None:
    """What is compared with: what was `given`, or else what the configuration says."""
    return named(config.baseline, config.root) if given is None else named(given, Path())


def load_evidence(
    config: Config,
    *,
    rows: Sequence[str] = (),
    with_bundles: bool = False,
    baseline: BaselineName | None = None,
    run: bool = False,
    unread_from: int | None = None,
    progress: Progress | None = None,
) -> Evidence:
    """Read everything about the registry of `config`, or about the rows with the given ids.

    With `baseline`, also what they were there; with `run`, the models are also loaded and run, as
    the configuration says. Of a whole registry of `unread_from` rows or more, the rows are left to
    be read while they are judged.

    Raises:
        InputError: The registry cannot be read, there or here, an id is unknown, or a release was
            cut short.
        UnavailableError: The baseline is not at hand, or there is no runtime to run models with.
    """
    if run:
        from provenance.evidence.run_models import run_models
        from provenance.runtime.trial import Runtime

        runtime = Runtime.find()  # before anything is hashed in vain
    tree, registry = read_registry(config)
    known_rows(registry, rows)
    former = None
    if baseline is not None:  # before the models, for the same reason
        with open_baseline(baseline, config) as opened:
            former = collect_baseline(tree, registry, opened, config, rows or None)
    addable = former.comparison.lost_keys if former is not None else ()
    unread = unread_from is not None and len(registry.rows) >= unread_from
    if unread and not rows and not run:
        around = survey(
            tree,
            registry,
            registry.rows,
            whole=True,
            with_bundles=with_bundles,
            repository=config.repository,
            addable=addable,
        )
        return replace(around, baseline=former, unread=True)
    evidence = collect(
        tree,
        registry,
        select=rows or None,
        with_bundles=with_bundles,
        progress=progress,
        repository=config.repository,
        addable=addable,
    )
    evidence = replace(evidence, baseline=former)
    if not run:
        return evidence
    return run_models(evidence, runtime, config.run, progress, config.path)


def read_registry(config: Config) -> tuple[Tree, Registry]:
    """The repository of `config` and its registry.

    Raises:
        InputError: It cannot be read, or a release was cut short.
    """
    tree = Tree.at(config.root)
    if journal.interrupted(tree):
        raise InputError(
            "a release was cut short after it was committed: some of its bundles are not in place",
            help="Finish it: run `provenance release` again.",
        )
    return tree, registries.read(tree, config.registry)


def known_rows(registry: Registry, rows: Iterable[str], also: Iterable[str] = ()) -> None:
    """Raises InputError where an id is in neither the registry nor `also`; it names the nearest."""
    labels = dict.fromkeys((*(r.label for r in registry.rows), *also))
    for wanted in rows:
        if wanted not in labels:
            import difflib

            near = difflib.get_close_matches(wanted, labels, 1)
            help = (
                f"Did you mean {near[0]!r}?"
                if near
                else f"Row ids are the values of `{registry.names.of('id')}` in the registry."
            )
            if wanted.endswith(".json") and not near:
                help = "A ROW is an `id`. The registry is that of the configuration: -C, --config."
            elif wanted.endswith(".onnx"):
                file = shlex.quote(wanted)
                help += f"\nIf it is a file: provenance verify-model {file} --key PUBLISHER.pub"
            raise InputError(f"{registry.path}: no row with the id {wanted!r}", help=help)
