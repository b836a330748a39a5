# SPDX-License-Identifier: Apache-2.0
"""Open a model if it verifies, and only then.

`verify_model` decides. Here it reads another tree: one in which every file that it opens is a
private copy.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from provenance.consumer.copying_tree import CopyingTree
from provenance.consumer.folder import PrivateFolder
from provenance.consumer.model import VerifiedModel
from provenance.errors import UnavailableError, VerificationError
from provenance.gate.finding import Report, Verdict
from provenance.operations.verify_model import verify_model
from provenance.operations.verify_options import VerifyOptions
from provenance.signing.trust import Trust

_SHOWN = 3


class ModelRefusedError(VerificationError):
    """A model did not verify, or lacks what is required of it.

    Attributes:
        report: All findings, each with its rule, its file and what to do next.
    """

    def __init__(self, report: Report) -> None:
        failing = report.failing
        told = "; ".join(f"{f.code} {f.message}" for f in failing[:_SHOWN])
        more = f"; and {len(failing) - _SHOWN} more" if len(failing) > _SHOWN else ""
        super().__init__(f"{report.registry} is refused: {told}{more}", help=failing[0].help)
        self.report = report


def open_verified(
    path: Path,
    trust: Trust,
    options: VerifyOptions,
    *,
    bundle: Path | None,
    summary: Path | None,
    folder: Path | None,
) -> VerifiedModel:
    """`Verifier.open`. Raises: as that."""
    if sys.platform == "win32":
        raise UnavailableError("models are opened on POSIX systems only")
    kept = PrivateFolder(folder or Path(tempfile.gettempdir()))
    try:
        report, evidence = verify_model(
            path,
            trust,
            replace(options, require=replace(options.require, row=True)),
            bundle=bundle,
            summary=summary,
            open_tree=lambda beside: CopyingTree.of(beside, kept),
        )
        if report.verdict is not Verdict.VERIFIED:
            raise ModelRefusedError(report)
        kept.seal()
        return VerifiedModel(evidence, report, kept)
    except BaseException:  # an interrupt too
        kept.close()
        raise
