# SPDX-License-Identifier: Apache-2.0
"""LIC2xx: every row says under which license its model is, smoke or not (ADR-1105)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from provenance.artifacts import spdx
from provenance.artifacts.documents.json_edit import Edit
from provenance.artifacts.documents.strict_json import same
from provenance.artifacts.registry import Row, is_blank
from provenance.evidence.evidence import Evidence
from provenance.evidence.registry_diff import changed_digests
from provenance.evidence.rows import LicenseFile, RowEvidence
from provenance.gate.finding import Finding, Fix
from provenance.gate.rules import license_files
from provenance.gate.rules.base import Rule, differing, shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Phase
from provenance.gate.rules.recovery_help import lost_field


class _Missing(Rule):
    field: str
    advice: str

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if is_blank(row.entry.fields.get(self.field, "")):
            yield self._lost(case, row) or self._missing(case, row)

    def edit(self, evidence: Evidence, row: Row) -> Edit | None:
        """What adds the field to a row that lacks it, if there is one way to."""
        return None

    def _missing(self, case: Case, row: RowEvidence) -> Finding:
        called = case.name_of(self.field)
        first = case.declare_first(called)
        advice = first + case.in_its_words(self.advice)
        edit = None if first else self.edit(case.evidence, row.entry)
        fixes = () if edit is None else (Fix(case.evidence.registry.path, edit),)
        return self.in_row(case, row, None, f"no `{called}`", advice, fixes=fixes)

    def _lost(self, case: Case, row: RowEvidence) -> Finding | None:
        """The same where the baseline had it: then it is known what was there."""
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
    Requires a `license` on every row; a text without a letter or a digit is none. Smoke rows are no
    exception.

    ## Why it matters
    Whoever ships the model ships it without permission. In ADR-1105 a load fix dropped the field
    from five rows, and nothing noticed. That is why this rule cannot be deferred.

    ## Example
    ```json
    {"id": "m", "onnx": "m.onnx", "smoke": true}
    ```

    ## How to fix
    Add the SPDX expression: `"license": "Apache-2.0"`. If it was there before,
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
    Requires a `license_url` on every row; an empty text is none.

    ## Why it matters
    The expression names a license; the URL says where its text is, with the holder's name and the
    year. Several licenses require that this text is passed on.

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
    Requires a `sigstore_bundle` on every row, where the row's signature is; an empty text is none.

    ## Why it matters
    A consumer that verifies before it loads refuses a row without one, and a consumer that does
    not, loads it unverified.

    ## Example
    ```json
    {"id": "m", "onnx": "m.onnx", "license": "MIT", "license_url": "https://…"}
    ```

    ## How to fix
    Add `"sigstore_bundle": "<onnx>.sigstore.json"`, below `onnx`. Where all other rows, and at
    least two, name their bundles by one pattern, `provenance check --fix` adds it by that pattern.
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
    """A license is not an SPDX expression.

    ## What it does
    Parses `license` as an SPDX license expression and looks each id up in the SPDX license list,
    and what stands behind WITH in the list of exceptions. `LicenseRef-…`, and of an exception
    `AdditionRef-…`, is accepted: it says itself that it is on no list. Behind it stand letters,
    digits, `.` and `-`.

    ## Why it matters
    Scanners, package managers and lawyers' tools read SPDX. They treat an unknown id as no license.

    ## Example
    ```json
    {"license": "BSD-3-Clause-Plus-Patent"}
    ```

    ## How to fix
    Use the id that the message names if it is the license you mean: that of the license file,
    where `license_url` points at one in this repository, else the one that is spelled most like it.
    If the license is on no list, write `LicenseRef-` before a name of your own and let
    `license_url` point at its text.
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
        message, help = self._wrong(case, expression, file)
        was = former_license(case, row)
        if was is not None:
            help = f"Put {shown(was)} back, the license of these bytes so far."
        elif file is None and (then := _text_before(case, row)) is not None:
            help = f"{help} If that is not what {shown(then)} meant, declare the change: "
            help += f"[[deferral]] of BAS806 for {row.label!r}."
        yield self.in_row(case, row, "license", message, help)

    def _wrong(self, case: Case, expression: str, file: LicenseFile | None) -> tuple[str, str]:
        """What is wrong with an expression, and the next step."""
        if len(expression) > spdx.MAX_EXPRESSION:
            says = f"`{case.name_of('license')}` has {len(expression):,} characters"
            return f"{says}; at most {spdx.MAX_EXPRESSION:,} are read", "Write an SPDX expression."
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
    """The valid license that the baseline has for the same bytes: it goes before a near one."""
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
        allowed = f"`{kind.own}` and letters, digits, `.` and `-`"
        return (f"{name[:80]!r} is no id of {_ARTICLE[kind]}: it is {allowed}", f"Write {for_own}")
    for other in spdx.Kind:
        if other is not kind and name in spdx.known_ids(other):
            return f"{name!r} is {_ARTICLE[other]}, and stands where {_ARTICLE[kind]} does", (
                f"Behind WITH stands an exception; join licenses with AND and OR: {_LIST}"
            )
    found = f"{name[:80]!r} is not on the SPDX {kind.value} list"
    if file is not None and len(file.licenses) == 1 and kind is spdx.Kind.LICENSE:
        (here,) = file.licenses
        return f"{found}; {license_files.says(file)}", f"Write {here}, or {for_own}"
    near = _nearest(name, kind) if suggest else None
    if near is None:
        says = f"{found}; none is near" if suggest else found
        return says, f"Look it up at {_LIST}, or write {for_own}"
    return (
        f"{found}; the nearest is {near!r}",
        f"Write {near} if that is the {kind.value}, or {for_own}",
    )


class SignedLicenseDiffers(Rule):
    """The license in the row is not the one that was signed.

    ## What it does
    Compares `license` and `license_url` with the row that the bundle signs.

    ## Why it matters
    The signer released the model under one license and the registry now offers it under another.
    Nobody with the key agreed to that.

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
                f"`{case.name_of(field)}` is {is_now}; signed is {was}",
                "Put the signed value back, or sign again: provenance release",
            )


@lru_cache(maxsize=4096)
def _nearest(name: str, kind: spdx.Kind) -> str | None:
    """The id on the list that is spelled most like `name`."""
    import difflib

    ids = sorted(k for k in spdx.known_ids(kind) if not k.startswith(spdx.OWN))
    return next(iter(difflib.get_close_matches(name, ids, cutoff=_NEAR)), None)


_NEAR: Final = 0.75
"""How alike two ids are that may be one: `Apache-2` is as near to `Apache-2.0`, `GPLv3` to none."""

_LIST: Final = "https://spdx.org/licenses/"
_ARTICLE: Final = {spdx.Kind.LICENSE: "a license", spdx.Kind.EXCEPTION: "an exception"}


def same_license(a: str, b: str) -> bool:
    """Whether two expressions name the same license: in other words, or newly as `LicenseRef-`."""
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
