# SPDX-License-Identifier: Apache-2.0
"""The base classes of rules, and helpers for their messages.

A rule is a class. Its code is stable and never reused, and its docstring is its documentation page.
Class attributes declare what it judges, where it applies and which rules it yields to. Judging is a
pure function of the case: a rule neither reads files nor asks for the time.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any, Final

from provenance.artifacts.documents.strict_json import JsonPath, Position
from provenance.artifacts.forms import shown as shown
from provenance.artifacts.paths import FETCH
from provenance.artifacts.sidecar import Document
from provenance.evidence.ensembles import Ensemble
from provenance.evidence.facts import RowFacts
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.gate.finding import Finding, Fix, Place
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Declaration, Scope

FIX_COMMAND: Final = "provenance check --fix"


class Rule(Declaration):
    """A rule.

    Subclasses set the attributes of `Declaration`, write the page of the rule in their docstring,
    and implement a judging method for each of their `scopes`.

    Attributes:
        consumer_advice: The default help for consumers, who can neither edit nor sign, or None if
            the findings are for the publisher.
    """

    def __init__(self, consumer_advice: str | None = None) -> None:
        """Create the rule for a publisher, or with `consumer_advice` for a consumer."""
        self.consumer_advice = consumer_advice

    def judge_row(self, case: Case, row: RowEvidence) -> Iterable[Finding]:
        """Return the findings about one row of the unit in `case`."""
        raise NotImplementedError

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterable[Finding]:
        """Return the findings about one ensemble of the unit in `case`."""
        raise NotImplementedError

    def judge_whole(self, case: Case) -> Iterable[Finding]:
        """Return the findings about all rows, a document, or an outcome."""
        raise NotImplementedError

    def judge_unit(self, case: Case) -> Iterator[Finding]:
        """Yield the findings about the rows and ensembles of a unit."""
        if Scope.ENSEMBLE in self.scopes:
            for ensemble in case.evidence.ensembles:
                yield from self.judge_ensemble(case, ensemble)
        if Scope.ROW in self.scopes:
            for row in case.evidence.rows:
                yield from self.judge_row(case, row)

    def finding(
        self,
        message: str,
        help: str,
        *,
        path: str,
        row: str | None = None,
        position: Position | None = None,
        place: Place | None = None,
        about: str | None = None,
        ensemble: str | None = None,
        fixes: tuple[Fix, ...] = (),
        for_consumer: bool = False,
    ) -> Finding:
        """Return a finding of this rule at `path`, the file to edit.

        If there are `fixes`, the help ends with the command that applies them, unless it already
        names another command. A consumer gets no fixes, and the consumer's help in place of `help`
        unless the rule or `for_consumer` says that `help` is for consumers too.
        """
        if self.consumer_advice is not None and not (self.for_consumer or for_consumer):
            is_about_pointer = FETCH.partition(": ")[2] in help
            consumer_help = self.consumer_help or self.consumer_advice
            help, fixes = FETCH if is_about_pointer else consumer_help, ()
        if fixes and ": provenance " not in help:
            help = f"{help.removesuffix('.')}: {FIX_COMMAND}"
        return Finding(
            code=self.code,
            slug=self.slug,
            severity=self.severity,
            row=row,
            path=path,
            position=position,
            message=message,
            help=help,
            about=about or path,
            ensemble=ensemble,
            fixes=fixes,
            place=place,
        )

    def in_row(
        self,
        case: Case,
        row: RowEvidence | RowFacts,
        field: str | None,
        message: str,
        help: str,
        *,
        below: JsonPath = (),
        place: JsonPath | None = None,
        about: str | None = None,
        fixes: tuple[Fix, ...] = (),
    ) -> Finding:
        """Return a finding at a field of a row in the registry.

        Args:
            case: The case that is judged. If it has no registry, the finding is at `about`.
            row: The row.
            field: The field, under its canonical name, or None for the row as a whole.
            message: What was found.
            help: The next step.
            below: The path of the value to edit, relative to the field, or to the row if `field`
                is None.
            place: The location of the value in the row's index file, in place of `field`.
            about: The file that the finding is about, or None for the registry.
            fixes: The edits that resolve the finding.
        """
        registry = case.evidence.registry
        if case.alone:
            return self.finding(message, help, path=about or registry.path, row=row.label)
        entry = row.row if isinstance(row, RowFacts) else row.entry
        where: JsonPath = place or ()
        if place is not None:
            pass
        elif field is None:
            where = (*entry.location, *below) if below else ()
        elif field in entry.fields:
            where = (*entry.place(field), *below)
        return self.finding(
            message,
            help,
            path=registry.file_of(entry).path,
            row=row.label,
            position=entry.position,
            place=Place(entry.source, where) if where else None,
            about=about,
            fixes=fixes,
        )

    def at(
        self,
        document: Document,
        where: JsonPath,
        message: str,
        help: str,
        *,
        row: str | None = None,
        ensemble: Ensemble | None = None,
        fixes: tuple[Fix, ...] = (),
    ) -> Finding:
        """Return a finding at a member of a document, or at its container if it is missing."""
        return self.finding(
            message,
            help,
            path=document.path,
            row=row,
            position=document.locate(*_existing(document, where)),
            ensemble=ensemble.manifest.id if ensemble else None,
            fixes=fixes,
        )


class ModelRule(Rule):
    """A rule about each model of a row: the `.onnx` file and its int8 variant."""

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        """Yield the findings about the models of one row."""
        for model in row.models:
            if model.name not in row.absent:
                yield from self.judge_model(case, row, model)

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterable[Finding]:
        """Return the findings about one model."""
        raise NotImplementedError


def _existing(document: Document, where: JsonPath) -> JsonPath:
    """Return the longest prefix of a path that exists in the document."""
    value: Any = document.value
    for depth, step in enumerate(where):
        in_object = isinstance(value, dict) and step in value
        in_list = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not in_object and not in_list:
            return where[:depth]
        value = value[step]
    return where


def differing(now: object, then: object, limit: int = 60) -> tuple[str, str]:
    """Return two values for a message, shortened to the part that differs.

    If one is longer than `limit` characters, both start 10 characters before the first difference.
    """
    a, b = repr(now), repr(then)
    if max(len(a), len(b)) <= limit:
        return a, b
    common = takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))
    start = max(0, len(list(common)) - 10)

    def cut(text: str) -> str:
        lead = "…" if start else ""
        return f"{lead}{text[start : start + limit]}{'…' if len(text) > start + limit else ''}"

    return cut(a), cut(b)


def some(names: Sequence[str], limit: int, between: str = ", ") -> str:
    """Return the first `limit` names, and how many more there are."""
    more = len(names) - limit
    return between.join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def command(*words: str) -> str:
    """Return a `provenance` command, quoted for a shell."""
    return shlex.join(("provenance", *words))


def accept(row: RowEvidence, *options: str) -> str:
    """Return the command that writes the present digests of a row's files into the row."""
    label = row.label
    return command("hash", label, "--write", *options, "--accept", label)


def short(sha256: str | None) -> str:
    """Return the first 12 digits of a digest, or "none" if there is no digest."""
    return f"{sha256[:12]}…" if sha256 else "none"
