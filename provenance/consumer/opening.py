# SPDX-License-Identifier: Apache-2.0
"""`open_model`: a model if it verifies, and nothing else.

The journey of `verify FILE.onnx` decides. It is only given another tree: one in which every file
that it opens is a private copy.
"""

from __future__ import annotations

import datetime
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from provenance.consumer.copying_tree import CopyingTree
from provenance.consumer.folder import PrivateFolder
from provenance.consumer.model import VerifiedModel
from provenance.errors import UnavailableError, VerificationError
from provenance.gate.finding import Report, Verdict
from provenance.gate.requirements import EXPECTED_TYPES, NOTHING, Require
from provenance.operations.verify import examine_file
from provenance.signing.roots import Instance
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


def open_model(
    path: str | os.PathLike[str],
    trust: Trust,
    *,
    require: Require = NOTHING,
    bundle: str | os.PathLike[str] | None = None,
    summary: str | os.PathLike[str] | None = None,
    state: str | os.PathLike[str] | None = None,
    resource_uri: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    today: datetime.date | None = None,
    instance: Instance = Instance.PRODUCTION,
    offline: bool = False,
) -> VerifiedModel:
    """The model in the `.onnx` file at `path`, if it verifies; use it in a `with` block.

    Its files, external data included, are copied into a private folder, and the copies are what is
    verified and what is used. What becomes of the originals meanwhile does not matter.

    The bundle has to bind the row: a signature over the bytes alone is not enough.

    Args:
        path: The model. Its external data lies beside it.
        trust: Whose signatures count: `trust_from_keys`, `trust_from_options`, `trust_from_file`.
        require: What is required beyond that.
        bundle: The bundle; by default `<path>.sigstore.json`.
        summary: The release summary; where one is required, by default the one beside the bundle
            or the model.
        state: A file that remembers which releases were used: an older one is refused.
        resource_uri: The project that the release summary has to be of; requires a summary.
        folder: Where the private folder is made; by default where temporary files are. On a file
            system that can share blocks, such as Btrfs or XFS, a folder near the model costs
            nothing.
        today: The date by which deferrals expire and a release is too old.
        instance: The public Sigstore instance whose trusted root counts, where none is given.
        offline: Take that trusted root as it is cached.

    Raises:
        ModelRefusedError: It does not verify, or lacks what is required. It has the report.
        InputError: A file cannot be read, or nothing can be kept.
        UnavailableError: No trusted root can be had, or the state file is in use.
    """
    if sys.platform == "win32":
        raise UnavailableError("models are opened on POSIX systems only")
    kept = PrivateFolder(Path(folder if folder is not None else tempfile.gettempdir()))
    try:
        report, evidence = examine_file(
            Path(path),
            trust,
            lambda beside: CopyingTree.of(beside, kept),
            bundle=_path(bundle),
            predicate_types=EXPECTED_TYPES,
            today=today,
            instance=instance,
            offline=offline,
            require=replace(require, row=True),
            summary=_path(summary),
            state=_path(state),
            resource_uri=resource_uri,
        )
        if report.verdict is not Verdict.VERIFIED:
            raise ModelRefusedError(report)
        kept.seal()
        return VerifiedModel(evidence, report, kept)
    except BaseException:  # an interrupt too
        kept.close()
        raise


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)
