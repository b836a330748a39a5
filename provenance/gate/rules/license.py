# SPDX-License-Identifier: Apache-2.0
"""LIC2xx: every row says under which license its model is, smoke or not (ADR-1105)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from provenance.artifacts.strict_json import same
from provenance.gate.evidence import RowEvidence
from provenance.gate.finding import Finding, Fix
from provenance.gate.rules.base import Case, Phase, Rule, command, differing, shown

if TYPE_CHECKING:
    from license_expression import Licensing

_MAX_EXPRESSION: Final = 1000
"""Characters of a license expression that are parsed."""


class _Missing(Rule):
    field: str
    advice: str

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            if row.row.fields.get(self.field, "") == "":
                yield self._lost(case, row) or self._missing(case, row)

    def _missing(self, case: Case, row: RowEvidence) -> Finding:
        called = case.name_of(self.field)
        advice = self.advice.replace(f'"{self.field}"', f'"{called}"')
        return self.in_row(case, row, None, f"no `{called}`", advice)

    def _lost(self, case: Case, row: RowEvidence) -> Finding | None:
        """The same where the baseline had it: then it is known what was there."""
        baseline = case.evidence.baseline
        former = baseline.former(row) if baseline else None
        if baseline is None or former is None or not former.row.text(self.field):
            return None
        lost = next(f for f in baseline.comparison.lost_fields(row.row) if f.field == self.field)
        return self.in_row(
            case,
            row,
            None,
            f"no `{lost.key}`; {baseline.name} has {shown(lost.was)}",
            f"Put it back: {command('restore', row.row.label, '--baseline', baseline.name)}",
            fixes=(Fix(case.evidence.registry.path, baseline.comparison.field_edit(lost)),),
        )


class LicenseMissing(_Missing):
    """A row has no license.

    ## What it does
    Requires a non-empty `license` on every row. Smoke rows are no exception.

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
    field = "license"
    advice = 'Add the SPDX expression of the model\'s license: "license": "Apache-2.0".'


class LicenseUrlMissing(_Missing):
    """A row has no license_url.

    ## What it does
    Requires a non-empty `license_url` on every row.

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
    field = "license_url"
    advice = "Add the address of the license file that came with the model."


class BundleFieldMissing(_Missing):
    """A row has no sigstore_bundle.

    ## What it does
    Requires a non-empty `sigstore_bundle` on every row: where the row's signature is.

    ## Why it matters
    A consumer that verifies before it loads refuses a row without one, and a consumer that does
    not, loads it unverified.

    ## Example
    ```json
    {"id": "m", "onnx": "m.onnx", "license": "MIT", "license_url": "https://…"}
    ```

    ## How to fix
    Add `"sigstore_bundle": "<onnx>.sigstore.json"`, below `onnx`.
    """

    code = "LIC203"
    slug = "bundle-field-missing"
    field = "sigstore_bundle"
    advice = 'Add "sigstore_bundle": "<onnx>.sigstore.json" below `onnx`.'


class NotSpdx(Rule):
    """A license is not an SPDX expression.

    ## What it does
    Parses `license` as an SPDX license expression and looks each id up in the SPDX license list.
    `LicenseRef-…` is accepted: it says itself that the license is not on the list.

    ## Why it matters
    Scanners, package managers and lawyers' tools read SPDX. They treat an unknown id as no license.

    ## Example
    ```json
    {"license": "BSD-3-Clause-Plus-Patent"}
    ```

    ## How to fix
    Use the id that the message names if it is the license you mean. If the license is on no list,
    write `LicenseRef-` before a name of your own and let `license_url` point at its text.
    """

    code = "LIC204"
    slug = "license-not-spdx"
    deferrable = True

    def judge(self, case: Case) -> Iterator[Finding]:
        known: dict[str, tuple[str, str] | None] = {}
        for row in case.evidence.rows:
            expression = row.row.text("license")
            if expression is None:
                continue
            if expression not in known:
                known[expression] = self._judge_expression(expression)
            problem = known[expression]
            if problem is not None:
                yield self.in_row(case, row, "license", *problem)

    def _judge_expression(self, expression: str) -> tuple[str, str] | None:
        if len(expression) > _MAX_EXPRESSION:
            return f"it has {len(expression):,} characters", "Write an SPDX expression."
        if expression in _ids():
            return None  # a plain id, as nearly all are: building the parser costs 50 ms
        licensing = _spdx()
        try:
            unknown: list[str] | None = [
                key
                for key in licensing.unknown_license_keys(expression)
                if not key.startswith(("LicenseRef-", "DocumentRef-", "AdditionRef-"))
            ]
        # The parser below license-expression also lets IndexError and AssertionError escape on
        # nonsense: whatever it cannot parse is not an expression.
        except Exception:
            unknown = None
        if unknown is None or not expression.strip():
            return (
                f"{expression[:80]!r} is not an SPDX license expression",
                "Join ids with AND, OR and WITH: https://spdx.org/licenses/",
            )
        if not unknown:
            return None
        name = unknown[0]
        ids = [k for k in licensing.known_symbols if not k.startswith("LicenseRef-")]
        near = difflib.get_close_matches(name, ids, 1, 0.6)
        hint = f"the nearest is {near[0]!r}" if near else "none is near"
        fix = f"Write {near[0]} if that is the license, or" if near else "Write"
        return (
            f"{name[:80]!r} is not on the SPDX license list; {hint}",
            f"{fix} LicenseRef-{name[:80]} for a license of your own.",
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

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            signed = case.claimed_row(case.row_statement(row))
            if signed is None:
                continue
            for field in LICENSE_FIELDS:
                now, then = row.row.fields.get(field), signed.get(field)
                if (field in signed) != (field in row.row.fields) or not same(now, then):
                    shown, signed_as = differing(now, then)
                    is_now = shown if field in row.row.fields else "missing"
                    was = signed_as if field in signed else "missing"
                    yield self.in_row(
                        case,
                        row,
                        field,
                        f"`{case.name_of(field)}` is {is_now}; signed is {was}",
                        "Put the signed value back, or sign again: provenance release",
                    )


def same_license(a: str, b: str) -> bool:
    """Whether two expressions name the same license: in other words, or newly as `LicenseRef-`."""
    plain = [expression.removeprefix("LicenseRef-").lower() for expression in (a, b)]
    if plain[0] == plain[1]:
        return True
    if max(len(a), len(b)) > _MAX_EXPRESSION:
        return False
    licensing = _spdx()
    try:
        parsed = [licensing.parse(expression, validate=True) for expression in (a, b)]
        return bool(licensing.is_equivalent(*parsed))
    except Exception:  # as above: an expression that cannot be parsed is none
        return False


@cache
def _ids() -> frozenset[str]:
    """The ids on the SPDX license list; exceptions are no licenses."""
    from license_expression import get_license_index

    licenses = (entry for entry in get_license_index() if not entry.get("is_exception"))
    return frozenset(e["spdx_license_key"] for e in licenses if e.get("spdx_license_key"))


@cache
def _spdx() -> Licensing:
    """A parser of expressions of the ids on the SPDX license list."""
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


LICENSE_FIELDS: Final = ("license", "license_url")


RULES: Iterable[type[Rule]] = (
    LicenseMissing,
    LicenseUrlMissing,
    BundleFieldMissing,
    NotSpdx,
    SignedLicenseDiffers,
)
