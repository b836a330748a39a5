# SPDX-License-Identifier: Apache-2.0
"""`init`: inspect a repository and write its configuration, on request with today's findings.

The configuration that is written is one that can be read. An existing one is never changed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import provenance.config as configuration
from provenance.artifacts import limits, writing
from provenance.artifacts.paths import Tree
from provenance.artifacts.writing import Change
from provenance.config import FILE, PYPROJECT, Config, parse_toml, read_text
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.kept_units import KeptUnits
from provenance.evidence.progress import Progress
from provenance.gate import reporting
from provenance.gate.finding import Finding, Report
from provenance.gate.judge import Terms, conclude
from provenance.gate.rules.deferrals import DeferralTodo
from provenance.operations.adoption.disk import Listing, list_files
from provenance.operations.adoption.first_registry import FirstRegistry, write_first_registry
from provenance.operations.adoption.proposal import TODO, Proposal
from provenance.operations.adoption.search import search
from provenance.operations.adoption.template import Initialised, Recorded, record
from provenance.operations.adoption.workflows import is_text, remote_of, signers, signing_workflows
from provenance.operations.load_evidence import load_evidence, today_utc
from provenance.signing import pem

_ABOUT_LICENSE: Final = ("LIC204", "LIC206", "LIC207", "LIC208")
"""Rules that a license or its address fails if it is a TODO."""


def init(
    folder: Path,
    registry: str | None = None,
    *,
    defer: Callable[[Sequence[Recorded]], bool] | None = None,
    progress: Progress | None = None,
) -> Initialised:
    """Write the configuration for the registry in `folder`, and a registry if it has only models.

    The configuration is written into pyproject.toml if that exists, or else into provenance.toml.

    Args:
        folder: The folder that the configuration is for.
        registry: The path of the registry; by default it is searched for.
        defer: If given, the registry is checked, and `defer` is asked whether to record a deferral
            for each rule that fails and can be deferred.
        progress: Receives what is being done.

    Raises:
        InputError: If a configuration exists already, or there is neither a registry nor a model.
    """
    tree = Tree.at(folder)
    target = folder / (PYPROJECT if (folder / PYPROJECT).is_file() else FILE)
    existing = read_text(target) if target.is_file() else ""
    if os.path.lexists(folder / FILE) or _has_table(existing, target):
        own = folder / FILE if os.path.lexists(folder / FILE) else target
        raise InputError(f"{own}: a configuration exists already", help=f"Edit {own} instead.")
    listing = list_files(tree)
    found, first = _registry(tree, listing, folder, registry, progress)
    remote = remote_of(tree.root)
    workflows = signing_workflows(tree, remote.default_branch)
    keys = tuple(filter(is_text, _public_keys(tree, listing)))
    trusted = signers(workflows, remote)
    done = Initialised(target.name, found, keys, remote, workflows, trusted, first=first)
    if defer is not None:
        config = _config(existing, done, target, tree)
        evidence = load_evidence(config)
        labels = [row.label for row in evidence.registry.rows]
        with KeptUnits() as kept:
            report = _judge(evidence, config, kept, progress)
            offer = record(_not_left_open(report.failing, evidence), labels)
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


def _not_left_open(findings: Iterable[Finding], evidence: Evidence) -> Iterator[Finding]:
    """Yield the findings except those about licenses that the configuration leaves open.

    They have a TODO of their own, and a deferral would fail as soon as it is replaced.
    """
    open_ = {
        row.label
        for row in evidence.registry.rows
        if TODO in (row.text("license"), row.text("license_url"))
    }
    for finding in findings:
        if not (finding.code in _ABOUT_LICENSE and open_.issuperset(finding.subjects)):
            yield finding


def _registry(
    tree: Tree, listing: Listing, folder: Path, named: str | None, progress: Progress | None
) -> tuple[Proposal, FirstRegistry | None]:
    """Return how the registry is read, and the registry if it had to be written."""
    path = None if named is None else os.path.normpath(named).replace(os.sep, "/")
    if path is not None and not is_text(path):
        raise InputError(f"{path!r}: the name is not UTF-8, so no configuration can name this file")
    found = search(tree, listing, path)
    if found is not None:
        return found, None
    if named is not None:
        raise InputError(
            f"{named}: not an index of models: no field of it names .onnx files",
            help="Each row of an index has the path or the address of its model. If the names are "
            "made of other fields, write [registry] by hand (docs: Configuration).",
        )
    first = write_first_registry(tree, listing, progress)
    if first is None:
        raise InputError(
            f"{folder}: neither a registry nor ONNX models found",
            help="Name the registry: provenance init --registry PATH",
        )
    found = search(tree, listing, first.path, first.digests)
    assert found is not None  # it was written just now
    return found, first


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


def _public_keys(tree: Tree, listing: Listing) -> Sequence[str]:
    found = []
    for path in listing.ending_in((".pub",)):
        try:
            pem.load_public_keys(tree.read(path, limits.KEY), path)
        except InputError:
            continue  # an SSH key, or a key of another algorithm: it cannot be trusted
        found.append(path)
    return found
