# SPDX-License-Identifier: Apache-2.0
"""LIC2xx: every row declares the license of its model, smoke or not (ADR-1105)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from provenance.artifacts import spdx
from provenance.artifacts.documents.json_edit import Edit
from provenance.artifacts.documents.strict_json import same
from provenance.evidence.evidence import Evidence
from provenance.evidence.registry_diff import changed_digests
from provenance.evidence.rows import LicenseFile, RowEvidence
from provenance.gate.finding import Finding, Fix
from provenance.gate.rules import license_files
from provenance.gate.rules.base import Rule, differing, shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Phase
from provenance.gate.rules.recovery_help import lost_field
from provenance.registry.rows import Row, is_blank


class _Missing(Rule):
    field: str
    advice: str

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if is_blank(row.entry.fields.get(self.field, "")):
            yield self._lost(case, row) or self._missing(case, row)

    def edit(self, evidence: Evidence, row: Row) -> Edit | None:
        """Return the edit that adds the missing field, or None if its value is uncertain."""
        return None

    def _missing(self, case: Case, row: RowEvidence) -> Finding:
        called = row.called(self.field)
        first = case.declare_first(called)
        advice = first + row.worded(self.advice)
        edit = None if first else self.edit(case.evidence, row.entry)
        fixes = () if edit is None else (Fix(case.evidence.registry.file_of(row.entry).path, edit),)
        return self.in_row(case, row, None, f"no `{called}`", advice, fixes=fixes)

    def _lost(self, case: Case, row: RowEvidence) -> Finding | None:
        """Return the finding if the baseline has the field, with its former value; else None."""
        lost = lost_field(case, row, self.field)
        baseline = case.evidence.baseline
        if baseline is None or lost is None or lost.field is None or is_blank(lost.field.was):
            return None
        edit = baseline.comparison.field_edit(lost.field)
        fix = Fix(case.evidence.registry.path, edit)
        fixes = () if case.declare_first(lost.field.key) else (fix,)
        message = f"no `{lost.field.key}`{lost.said}"
        return self.in_row(case, row, None, message, lost.help, fixes=fixes)


class LicenseMissing(_Missing):
    """A row has no license.

    ## What it does
    Requires a non-empty `license` on every row, including smoke rows. The value must contain a
    letter or a digit.

    ## Why it matters
    Without a license, downstream users have no permission to use the model. In ADR-1105 a load fix
    dropped the field from five rows, and no check noticed. For this reason the rule cannot be
    deferred.

    ## Example
    ```json
    {"id": "m", "onnx": "m.onnx", "smoke": true}
    ```

    ## How to fix
    Add the SPDX expression: `"license": "Apache-2.0"`. If the row had a license before,
    `provenance restore ROW --baseline git:origin/main` puts it back.
    """

    code = "LIC201"
    slug = "license-missing"
    looks_around = True
    field = "license"
    advice = 'Add the SPDX expression of the model\'s license: "license": "Apache-2.0".'


class LicenseUrlMissing(_Missing):
    """A row has no license_url.

    ## What it does
    Requires a non-empty `license_url` on every row.

    ## Why it matters
    The expression only names a license. The URL leads to its text, with the name of the copyright
    holder and the year. Several licenses require that this text is passed on.

    ## Example
    ```json
    {"id": "m", "onnx": "m.onnx", "license": "MIT"}
    ```

    ## How to fix
    Add the address of the license file that came with the model.
    """

    code = "LIC202"
    slug = "license-url-missing"
    looks_around = True
    field = "license_url"
    advice = "Add the address of the license file that came with the model."


class BundleFieldMissing(_Missing):
    """A row has no sigstore_bundle.

    ## What it does
    Requires a non-empty `sigstore_bundle` on every row: the path of the row's signature.

    ## Why it matters
    A consumer that verifies models refuses a row without a bundle. A consumer that does not verify
    loads the model unverified.

    ## Example
    ```json
    {"id": "m", "onnx": "m.onnx", "license": "MIT", "license_url": "https://…"}
    ```

    ## How to fix
    Add `"sigstore_bundle": "<onnx>.sigstore.json"` below `onnx`. If all other rows, and at least
    two, name their bundles by one pattern, `provenance check --fix` adds it by that pattern.
    """

    code = "LIC203"
    slug = "bundle-field-missing"
    looks_around = True
    field = "sigstore_bundle"
    advice = 'Add "sigstore_bundle": "<onnx>.sigstore.json" below `onnx`.'

    def edit(self, evidence: Evidence, row: Row) -> Edit | None:
        names = evidence.registry_wide.bundle_names
        return None if names is None else names.edit(evidence.registry, row)


class NotSpdx(Rule):
    """A license is not a valid SPDX expression.

    ## What it does
    Parses `license` as an SPDX license expression. It looks each id up in the SPDX license list,
    and each id after WITH in the list of exceptions. Custom ids are accepted: `LicenseRef-…` for a
    license and `AdditionRef-…` for an exception, followed by letters, digits, `.` and `-`.

    ## Why it matters
    Scanners, package managers and legal tools read SPDX. They treat an unknown id as no license.

    ## Example
    ```json
    {"license": "BSD-3-Clause-Plus-Patent"}
    ```

    ## How to fix
    If the id in the message is the right license, use it. It is the license of the file that
    `license_url` points at in this repository, or otherwise the id with the most similar spelling.
    If the license is on no list, write `LicenseRef-` and a name of your own, and let `license_url`
    point at its text.
    """

    code = "LIC204"
    slug = "license-not-spdx"
    looks_around = True
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        expression = row.entry.text("license")
        if expression is None or spdx.is_known(expression):
            return
        file = case.evidence.license_files.get(row.entry.text("license_url") or "")
        message, help = self._wrong(case, row, expression, file)
        was = former_license(case, row)
        if was is not None:
            help = f"Put {shown(was)} back, the former license of these bytes."
        elif file is None and (then := _text_before(case, row)) is not None:
            help = f"{help} If that is not what {shown(then)} meant, declare the change: "
            help += f"[[deferral]] of BAS806 for {row.label!r}."
        yield self.in_row(case, row, "license", message, help)

    def _wrong(
        self, case: Case, row: RowEvidence, expression: str, file: LicenseFile | None
    ) -> tuple[str, str]:
        """Return what is wrong with an expression, and the next step."""
        if len(expression) > spdx.MAX_EXPRESSION:
            says = f"`{row.called('license')}` has {len(expression):,} characters"
            return (
                f"{says}; the limit is {spdx.MAX_EXPRESSION:,}",
                "Write a shorter SPDX expression.",
            )
        try:
            unknown = spdx.unknown_ids(expression)
        except spdx.NotAnExpressionError:
            return (
                f"{expression[:80]!r} is not an SPDX license expression",
                f"Join ids with AND, OR and WITH: {_LIST}",
            )
        return _unknown(
            unknown[0], file, suggest=expression in case.evidence.registry_wide.odd_licenses
        )


def former_license(case: Case, row: RowEvidence) -> str | None:
    """Return the license in the baseline if it is valid and of the same bytes, or None.

    It takes precedence over a license with a similar spelling.
    """
    former = case.evidence.baseline.former(row) if case.evidence.baseline else None
    license = _text_before(case, row)
    if former is None or license is None or changed_digests(row.entry, former.row):
        return None
    return license if spdx.is_known(license) else None


def _text_before(case: Case, row: RowEvidence) -> str | None:
    former = case.evidence.baseline.former(row) if case.evidence.baseline else None
    return former.row.text("license") if former else None


def _unknown(id: spdx.UnknownId, file: LicenseFile | None, *, suggest: bool) -> tuple[str, str]:
    name, kind = id.name, id.kind
    own = spdx.own_id(name[:80], kind)
    for_own = f"{own} for {_ARTICLE[kind]} of your own." if own else f"an id: {_LIST}"
    if name.startswith(spdx.OWN):
        allowed = f"expected `{kind.own}` and letters, digits, `.` and `-`"
        return f"{name[:80]!r} is not an id of {_ARTICLE[kind]}: {allowed}", f"Write {for_own}"
    for other in spdx.Kind:
        if other is not kind and name in spdx.known_ids(other):
            return f"expected {_ARTICLE[kind]}, found {_ARTICLE[other]}: {name!r}", (
                f"Write an exception after WITH; join licenses with AND and OR: {_LIST}"
            )
    found = f"{name[:80]!r} is not on the SPDX {kind.value} list"
    if file is not None and len(file.licenses) == 1 and kind is spdx.Kind.LICENSE:
        (here,) = file.licenses
        return f"{found}; {license_files.says(file)}", f"Write {here}, or {for_own}"
    near = _nearest(name, kind) if suggest else None
    if near is None:
        says = f"{found}, and no id is similar" if suggest else found
        return says, f"Look it up at {_LIST}, or write {for_own}"
    return (
        f"{found}; the most similar id is {near!r}",
        f"Write {near} if that is the {kind.value}, or {for_own}",
    )


class SignedLicenseDiffers(Rule):
    """The license in the row is not the one that was signed.

    ## What it does
    Compares `license` and `license_url` with the row signed in the bundle.

    ## Why it matters
    The signer released the model under one license, but the registry now offers it under another.
    No trusted signer has agreed to the change.

    ## Example
    The bundle was signed over `"license": "CC-BY-NC-4.0"`; the row now says `"MIT"`.

    ## How to fix
    Put the signed license back. If the change is right, sign again: `provenance release`.
    """

    code = "LIC205"
    slug = "signed-license-differs"
    phase = Phase.SIGNATURES
    needs_trust = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        signed = case.signed_row(row)
        if signed is None:
            return
        for field in LICENSE_FIELDS:
            here, there = row.entry.verbatim, signed.verbatim
            # null is not the same as a missing field
            alike = (field in here) == (field in there)
            if alike and same(here.get(field), there.get(field)):
                here, there = row.entry.fields, signed.row
                if row.entry.text(field) == there.get(field):
                    continue
            shown, signed_as = differing(here.get(field), there.get(field))
            is_now = shown if field in here else "missing"
            was = signed_as if field in there else "missing"
            yield self.in_row(
                case,
                row,
                field,
                f"`{row.called(field)}` is {is_now}, but the signed value is {was}",
                "Put the signed value back, or sign again: provenance release",
            )


@lru_cache(maxsize=4096)
def _nearest(name: str, kind: spdx.Kind) -> str | None:
    """Return the id on the list with the spelling most similar to `name`, or None."""
    import difflib

    ids = sorted(k for k in spdx.known_ids(kind) if not k.startswith(spdx.OWN))
    return next(iter(difflib.get_close_matches(name, ids, cutoff=_NEAR)), None)


_NEAR: Final = 0.75
"""The least similarity of a suggested id: `Apache-2` suggests `Apache-2.0`, `GPLv3` no id."""

_LIST: Final = "https://spdx.org/licenses/"
_ARTICLE: Final = {spdx.Kind.LICENSE: "a license", spdx.Kind.EXCEPTION: "an exception"}


def same_license(a: str, b: str) -> bool:
    """Return whether two expressions name the same license.

    The expressions may be equivalent, or differ only in case or in the prefix `LicenseRef-`.
    """
    plain = [expression.removeprefix("LicenseRef-").lower() for expression in (a, b)]
    return plain[0] == plain[1] or spdx.equivalent(a, b)


LICENSE_FIELDS: Final = ("license", "license_url")


RULES: Iterable[type[Rule]] = (
    LicenseMissing,
    LicenseUrlMissing,
    BundleFieldMissing,
    NotSpdx,
    SignedLicenseDiffers,
    *license_files.RULES,
)
