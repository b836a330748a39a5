# SPDX-License-Identifier: Apache-2.0
"""REG109 to REG113: rows of an index of another shape, and what its mapping leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from provenance.evidence.rows import FileEvidence, RowEvidence
from provenance.gate.finding import Finding, Severity
from provenance.gate.rules.base import Rule, short
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.registry.mapping import DIGESTS

WEAK: Final = ("md5", "sha1")
"""Algorithms for which two files with one digest can be made on purpose."""


class UnmappedField(Rule):
    """A mapping leaves out a field, or names one that no row has.

    ## What it does
    Compares the `[registry]` tables of the configuration with the members that rows have. Warns if
    rows have a member that is called like a field of this project and weakens the judgement where
    it is not read: `sha256`, `license`, `smoke`, `quant_mode`, `int8_sha256`,
    `external_data_sha256`, `sigstore_bundle`. Also warns if no row has a field that is mapped; for
    `id` and digests this is an error of the configuration.

    ## Why it matters
    What is not mapped is not read. A forgotten line would silently switch off a comparison.

    ## Example
    Rows have `sha256`, and `[registry.fields]` has no line for it.

    ## How to fix
    Add the line to `[registry.fields]`, or correct the name.
    """

    code = "REG109"
    slug = "unmapped-field"
    severity = Severity.WARNING
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        for note in case.evidence.registry.notes:
            yield self.finding(
                note.message,
                note.help,
                path=case.config.path,
                position=case.config.registry_position(note.number, note.key),
            )


class UnreadableValue(Rule):
    """The mapping cannot read a value of a row.

    ## What it does
    Reports a path of the mapping that selects several different values of one row, a digest that is
    not one or does not name its algorithm, and a size that is not a number of bytes. Equal values
    count as one.

    ## Why it matters
    The first of two digests is not more right than the second. An unknown algorithm is never
    skipped, because then the file would not be compared at all.

    ## Example
    `digest = "checksum"` in the mapping, and `"checksum": "ab12…"` without `sha256:` in the row.

    ## How to fix
    Correct the row, or map the field by a path that selects one value.
    """

    code = "REG110"
    slug = "unreadable-value"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for each in row.entry.unreadable:
            yield self.in_row(case, row, None, each.message, each.help, place=each.place)


class WeakDigest(Rule):
    """A registry declares MD5 or SHA-1 digests.

    ## What it does
    Warns once for each algorithm. The digests are still compared, and a difference is an error
    (ART302).

    ## Why it matters
    For both algorithms, two files with the same digest can be made. Such a digest shows that a
    download is complete, not that it is the right file. The signature covers the SHA-256, which is
    always computed.

    ## Example
    `"md5": "9e107d9d372bb6826bd81d3542a419d6"`

    ## How to fix
    Declare a SHA-256 beside it; `provenance hash` prints it.
    """

    code = "REG111"
    slug = "weak-digest"
    severity = Severity.WARNING
    scopes = (Scope.REGISTRY,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        found: Counter[str] = Counter()
        for facts in case.facts:
            row = facts.row
            digests = (*row.digests, *(d for file in row.files for d in file.digests))
            found.update({d.algorithm for d in digests} & set(WEAK))
        for algorithm, rows in sorted(found.items()):
            name = algorithm.upper().replace("SHA1", "SHA-1")
            yield self.finding(
                f"{rows:,} {'row declares' if rows == 1 else 'rows declare'} {name} digests, which "
                "do not prove that a file is the right one",
                "Declare the SHA-256 of each file as well.",
                path=case.evidence.registry.path,
            )


class DigestNotStated(Rule):
    """A row does not state the digest that its mapping reads.

    ## What it does
    Warns if the mapping reads digests, and a row states none for a file that is in the tree.

    ## Why it matters
    The file of that row is compared with nothing before it is signed.

    ## Example
    Nine of ten rows have `sha256`, and the tenth has not.

    ## How to fix
    Write the digest into the row: `provenance hash` prints it.
    """

    code = "REG112"
    slug = "digest-not-stated"
    severity = Severity.WARNING

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        mapping = case.evidence.registry.mapping_of(row.entry)
        if row.entry.places is None:
            return
        wanted = {*DIGESTS, "digest"}
        silent: list[FileEvidence] = []
        onnx = row.onnx
        if wanted & mapping.fields.keys() and onnx is not None and onnx.sha256 is not None:
            is_stated = "sha256" in row.entry.fields or row.other_digests(onnx)
            is_unreadable = any(each.field in wanted for each in row.entry.unreadable)
            silent += [] if is_stated or is_unreadable else [onnx]
        if any(wanted & file.declared.keys() for file in mapping.files):
            for file in row.further:
                listed = row.listed(file)
                if listed is not None and not listed.digests and file.sha256 is not None:
                    silent.append(file)
        for file in silent:
            yield self.in_row(
                case,
                row,
                None,
                f"no digest for {file.path}, and the mapping reads one",
                f"Its SHA-256 is {file.sha256}.",
                about=file.path,
            )


class DigestsDisagree(Rule):
    """Two rows declare different digests for one file or one address.

    ## What it does
    Compares the declared digests of all rows, for each path and each address.

    ## Why it matters
    One of the two cannot be right. A file that fits one row fails for the other.

    ## Example
    Two rows name `https://example.org/det.onnx`, with different values in `sha256`.

    ## How to fix
    Correct the wrong row.
    """

    code = "REG113"
    slug = "digests-disagree"
    scopes = (Scope.REGISTRY,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        first: dict[tuple[str, str], tuple[str, str]] = {}
        for facts in case.facts:
            row = facts.row
            declared = [(file.name, file.url, file.digests) for file in row.files]
            if row.digests or row.places is not None:
                sha256 = row.digest("sha256")
                own = [("sha256", sha256)] if sha256 is not None else []
                own += [(d.algorithm, d.hex) for d in row.digests]
                found = [(name, own) for name in (row.onnx, row.text("url")) if name is not None]
            else:
                found = []
            for name, url, digests in declared:
                values = [(d.algorithm, d.hex) for d in digests]
                found += [(each, values) for each in (name, url) if each is not None]
            for name, values in found:
                for algorithm, hex in values:
                    label, other = first.setdefault((name, algorithm), (facts.label, hex))
                    if other != hex:
                        yield self.in_row(
                            case,
                            facts,
                            None,
                            f"the {algorithm} of {name[:100]!r} is {short(hex)}, but row {label!r} "
                            f"declares {short(other)}",
                            "Correct the row whose digest is wrong.",
                        )


RULES: Iterable[type[Rule]] = (
    UnmappedField,
    UnreadableValue,
    WeakDigest,
    DigestNotStated,
    DigestsDisagree,
)
