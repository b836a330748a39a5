# SPDX-License-Identifier: Apache-2.0
"""LIC206 to LIC208: a row's license, its license file, and other rows with the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provenance.artifacts import license_text, spdx
from provenance.artifacts.paths import FileProblem
from provenance.evidence.rows import LicenseFile, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Rule
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope


class LicenseFileDiffers(Rule):
    """A row's license is not that of the license file that it points at.

    ## What it does
    Where `license_url` is a path in this repository, or the address of a file in it on a branch,
    reads that file and compares. Which license it is, the file says itself
    (`SPDX-License-Identifier: MIT`), or its text does, for 35 well-known licenses. A license that
    is part of an expression on either side agrees with it, and `-only` and `-or-later` are one
    text. Which repository this is, `repository` in the configuration says, or the remote `origin`.

    ## Why it matters
    The row promises one license and hands out the text of another. Whoever relies on the row has no
    permission that anybody gave.

    ## Example
    `"license": "MIT"` and `"license_url": "../../LICENSE"`, a file that says
    `SPDX-License-Identifier: BSD-2-Clause-Patent`.

    ## How to fix
    Write the license that the file holds, or point `license_url` at the text of the row's license.
    """

    code = "LIC206"
    slug = "license-file-differs"
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        license = row.entry.text("license")
        file = case.evidence.license_files.get(row.entry.text("license_url") or "")
        if license is None or file is None or not _contradicts(license, file):
            return
        called = case.name_of("license_url")
        yield self.in_row(
            case,
            row,
            "license",
            f"`{case.name_of('license')}` is {license[:80]!r}; {says(file)}",
            f"Write the license of that file, or point `{called}` at the text of this one.",
            about=file.path,
        )


class LicenseUrlNowhere(Rule):
    """A license_url is neither an address nor a file of this repository.

    ## What it does
    Requires that `license_url` is a URL with a host, of a kind that can be opened and without
    blanks or control characters, or a path that leads to a file, relative to the registry's folder
    or to the root. That the address is there is not tried: nothing is fetched.

    ## Why it matters
    Nobody can read the license there. The expression alone says neither who grants it, nor since
    when, and several licenses require that their text is passed on.

    ## Example
    `"license_url": "see LICENSE"`

    ## How to fix
    Write the address of the license file that came with the model, or its path.
    """

    code = "LIC207"
    slug = "license-url-nowhere"
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        url = row.entry.text("license_url")
        file = case.evidence.license_files.get(url or "")
        if url is None or file is None or file.problem is None:
            return
        if file.problem.problem is FileProblem.TOO_LARGE:
            return  # it is there
        yield self.in_row(
            case,
            row,
            "license_url",
            f"`{case.name_of('license_url')}` is {url[:80]!r}: neither an address (https://…) "
            "nor a file here",
            "Write the address of the license file that came with the model, or its path.",
        )


class LicenseOfSameBytes(Rule):
    """The same bytes are under two licenses.

    ## What it does
    Compares the licenses of rows whose models are the same bytes, with the first of them. Two
    licenses agree where an alternative of one is an alternative of the other: `MIT OR Apache-2.0`
    and `MIT`.

    ## Why it matters
    Who may do what with a model does not depend on the id it was asked for by. One of the two rows
    offers what nobody granted.

    ## Example
    `a.onnx` under `CC-BY-NC-4.0`, and a copy of it as `b.onnx` under `MIT`.

    ## How to fix
    Write one license in both rows.
    """

    code = "LIC208"
    slug = "license-of-same-bytes"
    scopes = (Scope.REGISTRY,)
    deferrable = True

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        first: dict[str, tuple[str, str]] = {}
        for facts in case.facts:
            license, onnx = facts.row.text("license"), facts.onnx
            if onnx is None or onnx.sha256 is None or license is None:
                continue
            label, theirs = first.setdefault(onnx.sha256, (facts.label, license))
            if _agree(license, theirs):
                continue
            yield self.in_row(
                case,
                facts,
                "license",
                f"`{case.name_of('license')}` is {license[:80]!r}; row {label!r} has the "
                f"same bytes under {theirs[:80]!r}",
                "Write one license in both rows.",
                about=onnx.path,
            )


def says(file: LicenseFile) -> str:
    """What a license file of this repository holds, in words."""
    return f"{file.path} in this repository is {' and '.join(file.licenses)[:160]}"


def _contradicts(license: str, file: LicenseFile) -> bool:
    """Whether a file is known to hold another license than a row says."""
    claimed = spdx.ids_in(license)  # none where LIC204 speaks, or of a license of one's own
    held = frozenset[str]().union(*map(spdx.ids_in, file.licenses))
    if not claimed or not held or claimed & held:
        return False
    # A text is taken for the nearest one that is known. That it is not the row's license, it shows
    # only where that is known too.
    return file.says_so or license_text.recognisable().issuperset(claimed)


def _agree(a: str, b: str) -> bool:
    ours, theirs = spdx.alternatives(a), spdx.alternatives(b)
    if ours is None or theirs is None:
        return a.casefold() == b.casefold()
    return bool(ours & theirs)


RULES: Final[tuple[type[Rule], ...]] = (LicenseFileDiffers, LicenseUrlNowhere, LicenseOfSameBytes)
