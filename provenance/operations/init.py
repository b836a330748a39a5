# SPDX-License-Identifier: Apache-2.0
"""`init`: inspect a repository and write its configuration, on request with today's findings.

The configuration that is written is one that can be read. An existing one is never changed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import provenance.config as configuration
from provenance.artifacts import limits, writing
from provenance.artifacts.paths import FileError, Tree
from provenance.artifacts.writing import Change
from provenance.config import FILE, PYPROJECT, Config, parse_toml, read_text
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.kept_units import KeptUnits
from provenance.evidence.progress import Progress
from provenance.gate import reporting
from provenance.gate.finding import Report
from provenance.gate.judge import Terms, conclude
from provenance.gate.rules.deferrals import DeferralTodo
from provenance.operations.adoption.shape import Shape, files, registries, shapes_of
from provenance.operations.adoption.template import Initialised, Recorded, record
from provenance.operations.adoption.workflows import is_text, remote_of, signers, signing_workflows
from provenance.operations.load_evidence import load_evidence, today_utc
from provenance.signing import pem


def init(
    folder: Path,
    registry: str | None = None,
    *,
    defer: Callable[[Sequence[Recorded]], bool] | None = None,
    progress: Progress | None = None,
) -> Initialised:
    """Write the configuration for the registry in `folder`.

    It is written into pyproject.toml if that exists, or else into provenance.toml.

    Args:
        folder: The folder that the configuration is for.
        registry: The path of the registry; by default it is searched for.
        defer: If given, the registry is checked, and `defer` is asked whether to record a deferral
            for each rule that fails and can be deferred.
        progress: Receives what is being done.

    Raises:
        InputError: If a configuration exists already, or there is no registry or more than one.
    """
    tree = Tree.at(folder)
    target = folder / (PYPROJECT if (folder / PYPROJECT).is_file() else FILE)
    existing = read_text(target) if target.is_file() else ""
    if os.path.lexists(folder / FILE) or _has_table(existing, target):
        own = folder / FILE if os.path.lexists(folder / FILE) else target
        raise InputError(f"{own}: a configuration exists already", help=f"Edit {own} instead.")
    shape = _registry(tree, folder, registry)
    remote = remote_of(tree.root)
    workflows = signing_workflows(tree, remote.default_branch)
    keys = tuple(filter(is_text, _public_keys(tree)))
    trusted = signers(workflows, remote)
    done = Initialised(target.name, shape, keys, remote, workflows, trusted)
    if defer is not None:
        config = _config(existing, done, target, tree)
        evidence = load_evidence(config)
        labels = [row.label for row in evidence.registry.rows]
        with KeptUnits() as kept:
            report = _judge(evidence, config, kept, progress)
            offer = record(report.failing, labels)
            if offer and defer(offer):
                done = replace(done, recorded=offer)
                config = _config(existing, done, target, tree)
                report = _judge(evidence, config, kept, None)
        left = Counter((f.code, f.slug) for f in report.failing)
        todo = left.pop((DeferralTodo.code, DeferralTodo.slug), 0)
        done = replace(
            done,
            todo=todo,
            left=dict(sorted(left.items())),
            fixable=sum(1 for f in report.failing if f.fixes),
        )
    text = _file_text(existing, done)
    if existing:
        writing.write_changes(tree, [Change(target.name, existing, text)])
    else:
        writing.replace_file(tree, target.name, text.encode("utf-8"))
    return done


def _judge(
    evidence: Evidence, config: Config, kept: KeptUnits, progress: Progress | None
) -> Report:
    terms = Terms(trust=None, today=today_utc())
    return reporting.report(conclude(evidence, config, terms, kept=kept, progress=progress))


def _registry(tree: Tree, folder: Path, named: str | None) -> Shape:
    if named is not None:
        path = os.path.normpath(named).replace(os.sep, "/")
        try:
            tree.open(path).close()
        except FileError as e:
            raise InputError(f"the registry {e.message}", help=e.help) from e
        found = list(shapes_of(tree, path))
        if not found:
            raise InputError(
                f"{named}: not a registry: expected JSON with a list of rows, each with the name "
                "of its .onnx file in one field"
            )
    else:
        found = [s for s in registries(tree) if s.stock or s.complete]
    other = next((s for s in found if not s.stock), None)
    found = [s for s in found if s.stock]
    if other is not None and not found:
        raise InputError(
            f"{other.path}: its rows have another shape: {_differences(other)}",
            help="Only one shape is supported: a list `models` of rows with `id`, `onnx`, "
            "`sha256`, `license`, …",
        )
    if not found:
        raise InputError(
            f"{folder}: no registry found: no JSON with a list of rows, each with the name of an "
            ".onnx file and its SHA-256",
            help="Name it: provenance init --registry PATH",
        )
    if len({s.path for s in found}) > 1:
        raise InputError(
            f"{folder}: several registries: {', '.join(sorted(s.path for s in found))}",
            help="Name one: provenance init --registry PATH",
        )
    if not is_text(found[0].path):
        raise InputError(
            f"{found[0].path!r}: the name is not UTF-8, so no configuration can name this file"
        )
    return found[0]


def _differences(shape: Shape) -> str:
    """Describe how an index of another shape names its rows and their fields."""
    names = shape.names
    rows = "the file is a list" if not names.path else f"their list is `{names.rows}`"
    called = (f"`{known}` is called `{name}`" for known, name in names.renamed.items())
    return ", ".join((rows, *called))[:400]


def _file_text(existing: str, done: Initialised) -> str:
    """Return the whole text of the file that the configuration is written into."""
    newline = "\r\n" if "\r\n" in existing else "\n"
    text = done.text().replace("\n", newline)
    return existing.rstrip("\r\n") + 2 * newline + text if existing else text


def _config(existing: str, done: Initialised, target: Path, tree: Tree) -> Config:
    """Return the configuration as it will be read, before it is written."""
    config = configuration.of_text(_file_text(existing, done), target, tree.root)
    assert config is not None  # it has the table
    return config


def _has_table(text: str, target: Path) -> bool:
    tool = parse_toml(text, str(target)).get("tool", {})
    return isinstance(tool, dict) and "provenance" in tool


def _public_keys(tree: Tree) -> Sequence[str]:
    found = []
    for path in files(tree, (".pub",)):
        try:
            pem.load_public_keys(tree.read(path, limits.KEY), path)
        except InputError:
            continue  # an SSH key, or a key of another algorithm: it cannot be trusted
        found.append(path)
    return found
