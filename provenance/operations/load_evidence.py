# SPDX-License-Identifier: Apache-2.0
"""Read the evidence that a configuration names: the first step of every operation on a registry."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from provenance.artifacts import journal
from provenance.artifacts.baseline import BaselineName, Checkout, named
from provenance.artifacts.paths import Tree
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.baseline import open_baseline
from provenance.evidence.collect import survey
from provenance.evidence.collect_baseline import collect_baseline
from provenance.evidence.evidence import Evidence
from provenance.registry import reading, withdrawn
from provenance.registry.registry import Registry


def today_utc() -> datetime.date:
    """Return today's date in UTC. Deferrals expire by it."""
    return datetime.datetime.now(datetime.UTC).date()


def baseline_of(config: Config, given: str | None) -> BaselineName | None:
    """Return the baseline that was `given`, or else that of the configuration."""
    return named(config.baseline, config.root) if given is None else named(given, Path())


def load_evidence(
    config: Config,
    *,
    rows: Sequence[str] = (),
    with_bundles: bool = False,
    baseline: BaselineName | None = None,
    run: bool = False,
) -> Evidence:
    """Read everything around the rows of `config`'s registry.

    The rows themselves are read later, while they are judged.

    Args:
        config: The configuration.
        rows: The ids of the rows; by default all.
        with_bundles: Also read the bundles of the rows.
        baseline: The baseline to read the former rows from, or None.
        run: Also run the models, as the configuration says.

    Raises:
        InputError: If the present registry or that of the baseline, or the list of withdrawn
            models cannot be read, an id is unknown, or a release was cut short.
        UnavailableError: If the baseline is not available, or there is no runtime to run models.
    """
    if run:
        from provenance.runtime.trial import Runtime

        Runtime.find()  # fails before any file is hashed
    tree, registry = read_registry(config)
    known_rows(registry, rows)
    former = None
    if baseline is not None:  # before the models are read, for the same reason
        with open_baseline(baseline, config) as opened:
            former = collect_baseline(tree, registry, opened, config, rows or None)
    wanted = set(rows)
    around = survey(
        tree,
        registry,
        [row for row in registry.rows if not wanted or row.label in wanted],
        whole=not wanted,
        with_bundles=with_bundles,
        repository=config.repository,
        addable=former.comparison.lost_keys if former is not None else (),
        gates=config.gates,
    )
    return replace(
        around,
        baseline=former,
        run=config.run if run else None,
        withdrawn=withdrawn.read(Checkout(tree)),
    )


def read_registry(config: Config) -> tuple[Tree, Registry]:
    """Return the repository of `config` and its registry.

    Raises:
        InputError: If the registry cannot be read, or a release was cut short.
    """
    tree = Tree.at(config.root)
    if journal.interrupted(tree):
        raise InputError(
            "a release was cut short after its commit: some of its bundles are not in place",
            help="Finish it: run `provenance release` again.",
        )
    return tree, reading.read(Checkout(tree), config.indexes)


def known_rows(registry: Registry, rows: Iterable[str], also: Iterable[str] = ()) -> None:
    """Check that each id in `rows` exists.

    Raises:
        InputError: If an id is in neither the registry nor `also`. It names the closest id.
    """
    labels = dict.fromkeys((*(r.label for r in registry.rows), *also))
    for wanted in rows:
        if wanted not in labels:
            import difflib

            near = difflib.get_close_matches(wanted, labels, 1)
            help = (
                f"Did you mean {near[0]!r}?"
                if near
                else "Row ids are the values of `id` in the registry: provenance list"
            )
            if wanted.endswith(".json") and not near:
                help = "A ROW is an `id`. The configuration names the registry: -C, --config."
            elif wanted.endswith(".onnx"):
                file = shlex.quote(wanted)
                help += f"\nIf it is a file: provenance verify-model {file} --key PUBLISHER.pub"
            raise InputError(f"{registry.path}: no row with the id {wanted!r}", help=help)
