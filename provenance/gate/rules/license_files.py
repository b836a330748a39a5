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
    If `license_url` is a path in this repository, or the URL of a file in it on a branch, reads the
    file and compares its license with `license`. The license of a file is determined by its
    `SPDX-License-Identifier`, or by its text for 35 well-known licenses. Two expressions agree if
    they share a license, and `-only` and `-or-later` share one text. The repository is given by
    `repository` in the configuration, or by the remote `origin`.

    ## Why it matters
    The row promises one license but links to the text of another. A user who relies on the row may
    have no permission at all.

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
        called = row.called("license_url")
        yield self.in_row(
            case,
            row,
            "license",
            f"`{row.called('license')}` is {license[:80]!r}, but {says(file)}",
            f"Write the license of that file, or point `{called}` at the text of this license.",
            about=file.path,
        )


class LicenseUrlNowhere(Rule):
    """A license_url is neither a URL nor a file of this repository.

    ## What it does
    Requires that `license_url` is a URL or the path of a file, relative to the registry's folder or
    to the root. A URL must have a host and a scheme that can be opened, and no blanks or control
    characters. It is not fetched.

    ## Why it matters
    Users cannot find the text of the license. The expression alone gives neither the copyright
    holder nor the year, and several licenses require that their text is passed on.

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
            return  # the file exists
        yield self.in_row(
            case,
            row,
            "license_url",
            f"`{row.called('license_url')}` is {url[:80]!r}: neither an address (https://…) "
            "nor a file in this repository",
            "Write the address of the license file that came with the model, or its path.",
        )


class LicenseOfSameBytes(Rule):
    """Two rows with the same bytes have different licenses.

    ## What it does
    Compares the license of each row with that of the first row whose model has the same bytes. Two
    licenses agree if they share an alternative, such as `MIT OR Apache-2.0` and `MIT`.

    ## Why it matters
    The permissions for a model do not depend on the id under which it is found. One of the two rows
    promises permissions that were never granted.

    ## Example
    `a.onnx` is under `CC-BY-NC-4.0`, and its copy `b.onnx` under `MIT`.

    ## How to fix
    Write the same license in both rows.
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
                f"`{facts.called('license')}` is {license[:80]!r}, but row {label!r} has the "
                f"same bytes under {theirs[:80]!r}",
                "Write the same license in both rows.",
                about=onnx.path,
            )


def says(file: LicenseFile) -> str:
    """Return which licenses a file of this repository contains, for a message."""
    return f"{file.path} in this repository is {' and '.join(file.licenses)[:160]}"


def _contradicts(license: str, file: LicenseFile) -> bool:
    """Return whether a file is known to contain another license than the row declares."""
    claimed = spdx.ids_in(license)  # empty for an invalid expression (LIC204) or a custom id
    held = frozenset[str]().union(*map(spdx.ids_in, file.licenses))
    if not claimed or not held or claimed & held:
        return False
    # A text is identified as the most similar known license. It can refute the row's license only
    # if that one is among the known licenses too.
    return file.says_so or license_text.recognisable().issuperset(claimed)


def _agree(a: str, b: str) -> bool:
    ours, theirs = spdx.alternatives(a), spdx.alternatives(b)
    if ours is None or theirs is None:
        return a.casefold() == b.casefold()
    return bool(ours & theirs)


RULES: Final[tuple[type[Rule], ...]] = (LicenseFileDiffers, LicenseUrlNowhere, LicenseOfSameBytes)
