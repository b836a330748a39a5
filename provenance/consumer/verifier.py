# SPDX-License-Identifier: Apache-2.0
"""`Verifier`: what a consumer trusts and requires, and what can be verified by it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance.artifacts.paths import Tree
from provenance.config import Config
from provenance.consumer.folder import CopyingTree, PrivateFolder
from provenance.consumer.model import ModelRefusedError, VerifiedModel
from provenance.errors import UnavailableError
from provenance.evidence.progress import Progress
from provenance.frozen import dataclass
from provenance.gate.finding import Report, Verdict
from provenance.operations.verify import verify
from provenance.operations.verify_download import verify_blob, verify_model, verify_release
from provenance.operations.verify_options import VerifyOptions
from provenance.signing.trust import Trust

if TYPE_CHECKING:
    from provenance.evidence.collect_pipeline import LayoutRequest

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Verifier(VerifyOptions):
    """Verifies what others publish: a registry, a release, a model, or any other file.

    Every method that verifies raises `InputError` if a file cannot be read, and `UnavailableError`
    if a trusted root is needed and cannot be had.

    Attributes:
        trust: Whose signatures count: `trust_from_keys`, `trust_from_options`, `trust_from_file`.
    """

    trust: Trust

    def registry(
        self,
        config: Config,
        *,
        rows: Sequence[str] = (),
        run: bool = False,
        layout: LayoutRequest | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Judge a registry by its configuration, which has no say in whose signatures count.

        The arguments are those of `provenance.verify`.
        """
        return verify(
            config, self, trust=self.trust, rows=rows, run=run, layout=layout, progress=progress
        )

    def release(
        self, path: StrPath, *, summary: StrPath | None = None, progress: Progress | None = None
    ) -> Report:
        """Judge a registry file and all files of its release by the release summary alone.

        `path` is the registry file, or the folder that holds the release, with its files in the
        folders of the repository. `summary` is by default the one beside the registry file; for a
        folder, the one in it or in a folder directly below it.
        """
        return verify_release(
            Path(path), self.trust, self, summary=_path(summary), progress=progress
        )

    def model(
        self, path: StrPath, *, bundle: StrPath | None = None, summary: StrPath | None = None
    ) -> Report:
        """Judge one model by `bundle`, or by the bundle beside it (`<path>.sigstore.json`).

        A signature over the bytes alone counts too, with a warning, unless `require` says more.
        `summary` is the release summary; where one is required, by default the one beside the
        bundle or the model.
        """
        report, _ = verify_model(
            Path(path), self.trust, self, bundle=_path(bundle), summary=_path(summary)
        )
        return report

    def blob(self, blob: Path | str, bundle: StrPath) -> Report:
        """Judge the bytes of any file by a bundle that any Sigstore client made.

        `blob` is a `Path`, or a digest: a string of `sha256:` and 64 lower-case hexadecimal digits.
        """
        return verify_blob(blob, Path(bundle), self.trust, self)

    def open(
        self,
        path: StrPath,
        *,
        bundle: StrPath | None = None,
        summary: StrPath | None = None,
        folder: StrPath | None = None,
    ) -> VerifiedModel:
        """Open the model in a file if it verifies; use it in a `with` block.

        Its files, external data included, are copied into a private folder, and the copies are what
        is verified and what is used. What becomes of the originals meanwhile does not matter. The
        bundle has to bind the row: a signature over the bytes alone is not enough.

        Args:
            path: The model. Its external data lies beside it.
            bundle: The bundle; by default `<path>.sigstore.json`.
            summary: The release summary, as for `model`.
            folder: Where the private folder is made; by default where temporary files are. On a
                file system that can share blocks, such as Btrfs or XFS, a folder near the model
                costs nothing.

        Raises:
            ModelRefusedError: If it does not verify, or lacks what is required. It has the report.
            InputError: If a file cannot be read, or no private copy can be made.
            UnavailableError: If no trusted root can be had, or the state file is in use.
        """
        if sys.platform == "win32":
            raise UnavailableError("models are opened on POSIX systems only")
        kept = PrivateFolder(Path(tempfile.gettempdir() if folder is None else folder))
        try:
            report, evidence = verify_model(
                Path(path),
                self.trust,
                replace(self, require=replace(self.require, row=True)),
                bundle=_path(bundle),
                summary=_path(summary),
                open_tree=lambda beside: CopyingTree(
                    Tree.at(beside).root, confined=False, kept=kept
                ),
            )
            if report.verdict is not Verdict.VERIFIED:
                raise ModelRefusedError(report)
            kept.seal()
            return VerifiedModel(evidence, report, kept)
        except BaseException:  # an interrupt too
            kept.close()
            raise


def open_model(
    path: StrPath,
    trust: Trust,
    *,
    bundle: StrPath | None = None,
    summary: StrPath | None = None,
    folder: StrPath | None = None,
    **options: Any,
) -> VerifiedModel:
    """Open a model if it verifies: `Verifier(trust, **options).open(path, ...)`."""
    return Verifier(trust, **options).open(path, bundle=bundle, summary=summary, folder=folder)


def _path(given: StrPath | None) -> Path | None:
    return None if given is None else Path(given)
