# SPDX-License-Identifier: Apache-2.0
"""What a rule is, and what it is given.

A rule is a class: its code is stable and never reused, its docstring is its page. What it judges,
where it applies and what it yields to is data. Judging is a pure function of the case: it reads no
file and asks no clock.
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
    """One rule. Subclasses declare what it is, and write its page in their docstring.

    For each of its `scopes` a rule has the method that judges it.

    Attributes:
        consumer_advice: The help for those who use a model and can neither edit nor sign it; None
            where the publisher is spoken to.
    """

    def __init__(self, consumer_advice: str | None = None) -> None:
        """Make the rule for a publisher, or with `consumer_advice` for those who use a model."""
        self.consumer_advice = consumer_advice

    def judge_row(self, case: Case, row: RowEvidence) -> Iterable[Finding]:
        """The findings about one row of the unit in `case`."""
        raise NotImplementedError

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterable[Finding]:
        """The findings about one ensemble of the unit in `case`."""
        raise NotImplementedError

    def judge_whole(self, case: Case) -> Iterable[Finding]:
        """The findings about all rows, a document, or an outcome."""
        raise NotImplementedError

    def judge_unit(self, case: Case) -> Iterator[Finding]:
        """The findings about the rows and ensembles of a unit."""
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
        """A finding of this rule, at `path`, the file that has to be edited.

        Where there are `fixes`, the help ends with the command that makes them, unless it names
        another one. Those who use what others publish are given no edits, and advice of their own,
        unless `help` is for them too.
        """
        if self.consumer_advice is not None and not (self.for_consumer or for_consumer):
            of_pointer = FETCH.partition(": ")[2] in help
            help, fixes = FETCH if of_pointer else self.consumer_help or self.consumer_advice, ()
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
        about: str | None = None,
        fixes: tuple[Fix, ...] = (),
    ) -> Finding:
        """A finding at a field of a row in the registry; `about` is the file it speaks of.

        `below` leads to what has to be edited: in the field, or in the row as it is written. If
        there is no registry, the finding is at the file.
        """
        registry = case.evidence.registry
        if case.alone:
            return self.finding(message, help, path=about or registry.path, row=row.label)
        entry = row.row if isinstance(row, RowFacts) else row.entry
        where = below
        if field is not None:
            is_there = field in entry.fields
            where = (case.name_of(field), *below) if is_there else ()
        return self.finding(
            message,
            help,
            path=registry.path,
            row=row.label,
            position=entry.position,
            place=Place(entry.index, where) if where else None,
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
        """A finding at a member of a document, or at what holds it where it is missing."""
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
    """A rule about each model of a row: the `.onnx`, and its int8 variant."""

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        """The findings about the models of one row."""
        for model in row.models:
            yield from self.judge_model(case, row, model)

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterable[Finding]:
        """The findings about one model."""
        raise NotImplementedError


def _existing(document: Document, where: JsonPath) -> JsonPath:
    """As much of a path as there is in the document."""
    here: Any = document.value
    for n, step in enumerate(where):
        in_object = isinstance(here, dict) and step in here
        in_list = isinstance(here, list) and isinstance(step, int) and step < len(here)
        if not in_object and not in_list:
            return where[:n]
        here = here[step]
    return where


def differing(now: object, then: object, limit: int = 60) -> tuple[str, str]:
    """Two values as they are shown side by side; long texts from where they begin to differ."""
    a, b = repr(now), repr(then)
    if max(len(a), len(b)) <= limit:
        return a, b
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))
    start = max(0, len(list(alike)) - 10)

    def cut(text: str) -> str:
        lead = "…" if start else ""
        return f"{lead}{text[start : start + limit]}{'…' if len(text) > start + limit else ''}"

    return cut(a), cut(b)


def some(names: Sequence[str], limit: int, between: str = ", ") -> str:
    """The first of several names, and how many more there are."""
    more = len(names) - limit
    return between.join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def command(*words: str) -> str:
    """A command of ours as it can be pasted into a shell, whatever ids and names are in it."""
    return shlex.join(("provenance", *words))


def accept(row: RowEvidence, *options: str) -> str:
    """The command that takes the files of a row as they are now: their digests, and no others."""
    label = row.label
    return command("hash", label, "--write", *options, "--accept", label)


def short(sha256: str | None) -> str:
    """A digest as people compare it: its first 12 digits."""
    return f"{sha256[:12]}…" if sha256 else "none"
