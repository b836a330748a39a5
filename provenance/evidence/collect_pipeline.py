# SPDX-License-Identifier: Apache-2.0
"""Collect evidence about a pipeline, and verify it with in-toto.

in-toto's own functions judge, in the order of its `in_toto_verify`. That function itself is not
called: it reads files of any size, follows symbolic links, and runs the commands in a layout. So
layouts and links are first read strictly. An inspection is only evaluated if its command does
nothing, on a listing of the files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from provenance.artifacts import limits, paths
from provenance.artifacts.digest import Digest
from provenance.artifacts.inventory import inventory
from provenance.artifacts.paths import FileError, Tree
from provenance.attestations import layout_documents
from provenance.attestations.layout import HARMLESS, FunctionaryKey
from provenance.attestations.layout_documents import (
    DocumentError,
    first_line,
    need_in_toto,
    read_layout,
    read_link,
    refusals,
)
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence import snapshot
from provenance.evidence.evidence import Evidence
from provenance.evidence.pipeline import (
    Command,
    Files,
    Link,
    PipelineEvidence,
    Refusal,
    Standing,
    StepEvidence,
)
from provenance.evidence.progress import Progress
from provenance.frozen import dataclass


@dataclass(frozen=True)
class LayoutRequest:
    """A layout that all of `keys` must have signed, and the folder of its links."""

    layout: Path
    keys: tuple[FunctionaryKey, ...]
    link_dir: Path


def collect_pipeline(
    config: Config, evidence: Evidence, asked: LayoutRequest, progress: Progress | None = None
) -> PipelineEvidence:
    """Read the layout and its links, compare them with the present files, and verify with in-toto.

    Raises:
        InputError: If the layout or the folder of the links cannot be read, or a folder of the
            release cannot be listed.
        UnavailableError: If `in-toto` is not installed.
    """
    need_in_toto("verifying a layout")
    root = evidence.root
    found = PipelineEvidence(
        _shown(asked.layout, root), tuple(k.path for k in asked.keys), _shown(asked.link_dir, root)
    )
    try:
        read = read_layout(_read(asked.layout))
    except DocumentError as e:
        return replace(found, malformed=str(e))
    unsigned = tuple(_unsigned(read.metadata, asked.keys))
    found = replace(found, unsigned=unsigned, expires=read.payload.expires)
    if unsigned:
        return found
    scope = snapshot.scope_of(config, evidence.registry)
    found = replace(found, scope=scope, listed=inventory(root, scope.folders))
    return _Verification(root, asked, read.payload, found, progress).run()


def _read(path: Path) -> bytes:
    try:
        return paths.read_named_file(path, limits.LAYOUT)
    except FileError as e:
        if e.problem is paths.FileProblem.TOO_LARGE:
            raise DocumentError(e.message) from e
        raise InputError(
            f"layout {path}: {e.message}", help="Give the layout that the project's owner signed."
        ) from e


def _unsigned(metadata: Any, keys: Sequence[FunctionaryKey]) -> Iterator[str]:
    """Yield the keys whose signature is missing or invalid."""
    from in_toto import verifylib

    for key in keys:
        try:
            verifylib.verify_metadata_signatures(metadata, {key.key_id: dict(key.as_json)})
        except refusals():
            yield key.path


class _Verification:
    """Runs in-toto's verification step by step, and records the results until one fails."""

    def __init__(
        self,
        root: Tree,
        asked: LayoutRequest,
        layout: Any,
        found: PipelineEvidence,
        progress: Progress | None,
    ) -> None:
        self._root = root
        self._layout = layout
        self._found = found
        self._progress = progress
        self._links = _LinkFolder(asked.link_dir, found.links)
        self._why: str | None = None

    def run(self) -> PipelineEvidence:
        from in_toto import verifylib

        layout = self._layout
        expired = not self._passes(lambda: verifylib.verify_layout_expiration(layout))
        steps, metadata = self._steps()
        self._found = replace(
            self._found, expired=expired, steps=steps, commands=tuple(_commands(layout))
        )
        enough = self._passes(lambda: verifylib.verify_link_signature_thresholds(layout, metadata))
        if enough and all(step.done for step in steps):
            self._artifacts(metadata)
        return replace(self._found, in_toto=self._why)

    def _passes(self, judge: Callable[[], object]) -> bool:
        """Whether a check of in-toto passes. The reason of the first failure is kept."""
        try:
            judge()
        except refusals() as e:
            self._why = self._why or f"{type(e).__name__}: {first_line(e)}"
            return False
        return True

    def _steps(self) -> tuple[tuple[StepEvidence, ...], dict[str, dict[str, Any]]]:
        """Return the evidence of each step, and the links in the form that in-toto expects."""
        steps, metadata = [], {}
        for step in self._layout.steps:
            links, read = self._links.of_step(step, self._layout.keys)
            steps.append(StepEvidence(step.name, tuple(step.pubkeys), step.threshold, links))
            metadata[step.name] = read
        return tuple(steps), metadata

    def _artifacts(self, metadata: dict[str, dict[str, Any]]) -> None:
        """Record whether the functionaries of a step agree, and which files in-toto refuses."""
        from in_toto import verifylib

        layout = self._layout
        verified = verifylib.verify_link_signature_thresholds(layout, metadata)
        chain = {s: {k: m.get_payload() for k, m in by.items()} for s, by in verified.items()}
        agree = verifylib.verify_threshold_constraints
        disputed = {  # one layout per step, so that in-toto reports each step
            step.name
            for step in layout.steps
            if not self._passes(partial(agree, SimpleNamespace(steps=[step]), chain))
        }
        steps = tuple(replace(s, disputed=s.name in disputed) for s in self._found.steps)
        self._found = replace(self._found, steps=steps)
        if disputed:  # then the files before and after the step are not known
            return
        links = verifylib.reduce_chain_links(chain)
        refusals = self._refused(layout.steps, links)
        self._found = replace(self._found, refusals=refusals)
        if not layout.inspect or self._found.commands:
            return
        here, unreadable = _files_here(self._root, layout.inspect, self._progress)
        # in-toto would record the same before and after a command that does nothing.
        files = {p: {"sha256": d} for p, d in here.items()}
        recorded = SimpleNamespace(materials=files, products=files)
        links |= {inspection.name: recorded for inspection in layout.inspect}
        refusals += self._refused(layout.inspect, links)
        self._found = replace(self._found, refusals=refusals, here=here, unreadable=unreadable)

    def _refused(self, items: Sequence[Any], links: Mapping[str, Any]) -> tuple[Refusal, ...]:
        """Return what in-toto refuses in steps or inspections, one list of rules at a time.

        in-toto records in RULE_TRACE the rules that passed, with the files that remained after
        each. That name is not documented; tests/operations/test_pipeline.py fails if it changes.
        """
        from in_toto import verifylib

        found = []
        for item in items:
            for kind in ("materials", "products"):
                rules = getattr(item, f"expected_{kind}")
                judge = partial(verifylib.verify_item_rules, item.name, kind, rules, links)
                if not self._passes(judge):
                    passed = verifylib.RULE_TRACE["trace"]
                    rule = tuple(rules[len(passed)])
                    left = passed[-1]["queue"] if passed else getattr(links[item.name], kind)
                    found.append(Refusal(item.name, rule, tuple(sorted(_about(rule, left)))))
        return tuple(found)


class _LinkFolder:
    """The folder of the links. Files whose names are not those of links are ignored."""

    def __init__(self, folder: Path, shown: str) -> None:
        self._tree = Tree.at(folder)
        self._shown = shown
        try:
            names = os.listdir(self._tree.root)
        except OSError as e:
            raise InputError(f"cannot list {folder}: {e.strerror or e}") from e
        if len(names) > limits.LINK_FILES:
            raise InputError(
                f"more than {limits.LINK_FILES:,} files in {folder}",
                help="Keep links in a folder of their own: --link-dir links",
            )
        self._names = sorted(n for n in names if layout_documents.step_of(n))

    def of_step(
        self, step: Any, keys: Mapping[str, Any]
    ) -> tuple[tuple[Link, ...], dict[str, Any]]:
        """Return the links of a step, and those by authorized keys as in-toto expects them."""
        by_name = {layout_documents.link_name(step.name, k): k for k in step.pubkeys}
        links, metadata = [], {}
        for name in self._names:
            named = layout_documents.step_of(name)
            if named is None or named[0] != step.name:
                continue
            link = Link(paths.join(self._shown, name), named[1], Standing.UNAUTHORIZED)
            if name in by_name:
                key_id = by_name[name]
                link, read = self._judged(link, name, step.name, keys[key_id])
                if read is not None:
                    metadata[key_id] = read
            links.append(link)
        return tuple(links), metadata

    def _judged(
        self, link: Link, name: str, step: str, key: Mapping[str, Any]
    ) -> tuple[Link, Any | None]:
        """Judge a link by an authorized key, and return it as in-toto reads it, if it counts."""
        from in_toto import verifylib

        try:
            read = read_link(self._tree.read(name, limits.LINK))
            verifylib.verify_metadata_signatures(read.metadata, {key["keyid"]: dict(key)})
            if read.payload.name != step:
                raise DocumentError(f"it is a link of the step {str(read.payload.name)[:40]!r}")
        except FileError as e:
            return replace(link, standing=Standing.MALFORMED, why=e.message), None
        except DocumentError as e:
            return replace(link, standing=Standing.MALFORMED, why=str(e)), None
        except refusals():
            return replace(link, standing=Standing.UNSIGNED), None
        counts = replace(
            link,
            standing=Standing.COUNTS,
            materials=_files(read.payload.materials),
            products=_files(read.payload.products),
        )
        return counts, read.metadata


def _files(artifacts: Mapping[str, Mapping[str, str]]) -> Files:
    return {path: hashes["sha256"] for path, hashes in artifacts.items()}


def _commands(layout: Any) -> Iterator[Command]:
    """Yield the commands that inspections would run, except the ones known to do nothing."""
    for inspection in layout.inspect:
        words = tuple(str(word) for word in inspection.run)
        if words != HARMLESS:
            yield Command(inspection.name, words)


def _files_here(
    root: Tree, inspections: Sequence[Any], progress: Progress | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what in-toto would record of the files below the root, and the unreadable files.

    Only files whose digests a rule needs are hashed. The others have an empty digest.
    """
    patterns = list(_matched(inspections))
    names = inventory(root, ["."]).files
    asked = [n for n in names if any(fnmatch(n, pattern) for pattern in patterns)]
    read = snapshot.hash_files(root, asked, progress)
    unreadable = {p: e.message for p, e in read.items() if isinstance(e, FileError)}
    digests = {p: d.sha256 for p, d in read.items() if isinstance(d, Digest)}
    return {n: digests.get(n, "") for n in names}, unreadable


def _matched(inspections: Sequence[Any]) -> Iterator[str]:
    from in_toto import rulelib

    for item in inspections:
        for rule in (*item.expected_materials, *item.expected_products):
            parts = rulelib.unpack_rule(rule)
            if parts["rule_type"] == "match":
                prefix = parts["source_prefix"].rstrip("/")
                yield f"{prefix}/{parts['pattern']}" if prefix else parts["pattern"]


def _about(rule: Sequence[str], left: Sequence[str]) -> Iterator[str]:
    """Yield the files that an artifact rule refused."""
    if rule[0].casefold() == "require":
        yield rule[1]
    else:
        yield from (path for path in left if fnmatch(path, rule[1]))


def _shown(path: Path, root: Tree) -> str:
    """Return a path as it is shown in findings: relative to the root if it is below the root."""
    real = Path(os.path.realpath(path))
    return real.relative_to(root.root).as_posix() if real.is_relative_to(root.root) else str(path)
