# SPDX-License-Identifier: Apache-2.0
"""Collecting evidence about a pipeline, and asking in-toto.

in-toto's own functions judge, in the order of its `in_toto_verify`, which reads without a limit,
follows links and runs what a layout says. So layouts and links are read here first, strictly, and
an inspection is evaluated on a listing of the files, if its command is one that does nothing.
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
    """A layout that all of `keys` have to have signed, and the folder of the links."""

    layout: Path
    keys: tuple[FunctionaryKey, ...]
    link_dir: Path


def collect_pipeline(
    config: Config, evidence: Evidence, asked: LayoutRequest, progress: Progress | None = None
) -> PipelineEvidence:
    """Read the layout and its links, compare with the files here, and ask in-toto.

    Raises:
        InputError: The layout or the folder of the links cannot be read at all, or a folder of the
            release cannot be listed.
        UnavailableError: `in-toto` is not installed.
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
    """The keys that have not signed."""
    from in_toto import verifylib

    for key in keys:
        try:
            verifylib.verify_metadata_signatures(metadata, {key.key_id: dict(key.as_json)})
        except refusals():
            yield key.path


class _Verification:
    """The steps of in-toto's verification, each noted, until one fails."""

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
        """Whether in-toto passes; the first thing for which it does not is kept."""
        try:
            judge()
        except refusals() as e:
            self._why = self._why or f"{type(e).__name__}: {first_line(e)}"
            return False
        return True

    def _steps(self) -> tuple[tuple[StepEvidence, ...], dict[str, dict[str, Any]]]:
        """What there is of each step, and the links as in-toto takes them."""
        steps, metadata = [], {}
        for step in self._layout.steps:
            links, read = self._links.of_step(step, self._layout.keys)
            steps.append(StepEvidence(step.name, tuple(step.pubkeys), step.threshold, links))
            metadata[step.name] = read
        return tuple(steps), metadata

    def _artifacts(self, metadata: dict[str, dict[str, Any]]) -> None:
        """Whether those who did a step agree, and what became of the files."""
        from in_toto import verifylib

        layout = self._layout
        verified = verifylib.verify_link_signature_thresholds(layout, metadata)
        chain = {s: {k: m.get_payload() for k, m in by.items()} for s, by in verified.items()}
        agree = verifylib.verify_threshold_constraints
        disputed = {  # a layout of one step each, so that in-toto says it of each
            step.name
            for step in layout.steps
            if not self._passes(partial(agree, SimpleNamespace(steps=[step]), chain))
        }
        steps = tuple(replace(s, disputed=s.name in disputed) for s in self._found.steps)
        self._found = replace(self._found, steps=steps)
        if disputed:  # nobody knows then what the step read and left
            return
        links = verifylib.reduce_chain_links(chain)
        refusals = self._refused(layout.steps, links)
        self._found = replace(self._found, refusals=refusals)
        if not layout.inspect or self._found.commands:
            return
        here, unreadable = _files_here(self._root, layout.inspect, self._progress)
        # What in-toto would have recorded before and after a command that does nothing.
        files = {p: {"sha256": d} for p, d in here.items()}
        recorded = SimpleNamespace(materials=files, products=files)
        links |= {inspection.name: recorded for inspection in layout.inspect}
        refusals += self._refused(layout.inspect, links)
        self._found = replace(self._found, refusals=refusals, here=here, unreadable=unreadable)

    def _refused(self, items: Sequence[Any], links: Mapping[str, Any]) -> tuple[Refusal, ...]:
        """What in-toto refuses of the files of steps or inspections, one list of rules at a time.

        in-toto leaves the rules that it came past, and what was left after each, in RULE_TRACE:
        a name that it does not document; tests/operations/test_pipeline.py fails when it moves.
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
    """The folder of the links. Only names that can be those of links are looked at."""

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
        """What there is of a step, and of it the links of keys that may do it, for in-toto."""
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
        """A link of a key that may do the step, and what in-toto reads it as."""
        from in_toto import verifylib

        try:
            read = read_link(self._tree.read(name, limits.LINK))
            verifylib.verify_metadata_signatures(read.metadata, {key["keyid"]: dict(key)})
            if read.payload.name != step:
                raise DocumentError(f"it is the link of step {str(read.payload.name)[:40]!r}")
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
    """What the inspections would run, where it is not known to do nothing."""
    for inspection in layout.inspect:
        words = tuple(str(word) for word in inspection.run)
        if words != HARMLESS:
            yield Command(inspection.name, words)


def _files_here(
    root: Tree, inspections: Sequence[Any], progress: Progress | None
) -> tuple[dict[str, str], dict[str, str]]:
    """What in-toto would record of the files below the root, and what cannot be read.

    Only files whose digests a rule asks for are hashed: the others have an empty one.
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
    """The files that a rule which refuses is about."""
    if rule[0].casefold() == "require":
        yield rule[1]
    else:
        yield from (path for path in left if fnmatch(path, rule[1]))


def _shown(path: Path, root: Tree) -> str:
    """A path as findings have it: relative to the root where it lies below it."""
    real = Path(os.path.realpath(path))
    return real.relative_to(root.root).as_posix() if real.is_relative_to(root.root) else str(path)
