# SPDX-License-Identifier: Apache-2.0
"""`Verifier`: verify registries, releases, models and other files as a consumer."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance.artifacts.paths import Tree
from provenance.config import Config, trust_from_options, workflow_of
from provenance.consumer.folder import CopyingTree, PrivateFolder
from provenance.consumer.model import ModelRefusedError, VerifiedModel
from provenance.errors import InputError, UnavailableError
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
    """Verifies registries, releases, models and other files with the trust of a consumer.

    Every method that verifies raises `InputError` if a file cannot be read, and `UnavailableError`
    if a trusted root is needed but not available.

    Attributes:
        trust: The trusted signers, from `trust_from_keys`, `trust_from_options` or
            `trust_from_file`.
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
        """Verify a registry and its signatures.

        The configuration names the registry and the rules, but its trust is ignored. The arguments
        are those of `provenance.verify`.
        """
        return verify(
            config, self, trust=self.trust, rows=rows, run=run, layout=layout, progress=progress
        )

    def release(
        self, path: StrPath, *, summary: StrPath | None = None, progress: Progress | None = None
    ) -> Report:
        """Verify all files of a release through its release summary.

        Args:
            path: The registry file, or the folder of the release, laid out as in the repository.
            summary: The release summary. By default, the one beside the registry file, or the one
                in the folder or directly below it.
            progress: Receives the progress.
        """
        return verify_release(
            Path(path), self.trust, self, summary=_path(summary), progress=progress
        )

    def model(
        self, path: StrPath, *, bundle: StrPath | None = None, summary: StrPath | None = None
    ) -> Report:
        """Verify one model with its bundle.

        A signature over the bytes of the model alone is accepted with a warning, unless `require`
        demands more.

        Args:
            path: The model.
            bundle: The bundle. By default, `<path>.sigstore.json`.
            summary: The release summary. If one is required, it is by default the one beside the
                bundle or the model.
        """
        report, _ = verify_model(
            Path(path), self.trust, self, bundle=_path(bundle), summary=_path(summary)
        )
        return report

    def blob(self, blob: Path | str, bundle: StrPath) -> Report:
        """Verify any file with a bundle from any Sigstore client.

        Args:
            blob: The `Path` of the file, or its digest: `sha256:` and 64 lower-case hexadecimal
                digits.
            bundle: The bundle.
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
        """Verify a model and open it. Use the result in a `with` block.

        The model and its external data are copied into a private folder. The copies are verified
        and loaded, so later changes to the original files have no effect. The bundle must bind the
        row: a signature over the bytes alone is not enough.

        Args:
            path: The model. Its external data lies beside it.
            bundle: The bundle. By default, `<path>.sigstore.json`.
            summary: The release summary, as for `model`.
            folder: Where to create the private folder. By default, in the folder for temporary
                files. On a file system that shares blocks, such as Btrfs or XFS, copies to a folder
                on the same file system take no space.

        Raises:
            ModelRefusedError: If the model cannot be verified, or does not meet the requirements.
                It holds the report.
            InputError: If a file cannot be read, or the private copies cannot be made.
            UnavailableError: If no trusted root is available, or the state file is in use.
        """
        if sys.platform == "win32":
            raise UnavailableError("models can be opened on POSIX systems only")
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
        except BaseException:  # also on an interrupt
            kept.close()
            raise


def open_model(
    path: StrPath,
    trust: Trust | None = None,
    *,
    key: StrPath | None = None,
    repo: str | None = None,
    workflow: str | None = None,
    ref: str | None = None,
    bundle: StrPath | None = None,
    summary: StrPath | None = None,
    folder: StrPath | None = None,
    **options: Any,
) -> VerifiedModel:
    """Verify a model and open it: `Verifier(trust, **options).open(path, ...)`.

    Args:
        path: The model.
        trust: The trusted signers. Or name them with `key` or `repo`.
        key: The file of a public key whose signatures count.
        repo: A GitHub repository, `owner/name`, whose workflows' signatures count.
        workflow: With `repo`: only this workflow, such as `release.yml`.
        ref: With `repo`: only runs for this ref, such as `refs/tags/v*`.
        bundle: As for `Verifier.open`.
        summary: As for `Verifier.open`.
        folder: As for `Verifier.open`.
        options: The other fields of `Verifier`.

    Raises:
        ModelRefusedError, InputError, UnavailableError: As `Verifier.open`; InputError also if no
            signer is trusted, or both `trust` and `key` or `repo` are given.
    """
    given = key is not None or repo is not None
    if given == (trust is not None):
        raise InputError(
            "no trusted signer" if trust is None else "two kinds of trust",
            help='Give one: open_model(path, key="release.pub"), '
            'open_model(path, repo="owner/name"), or a Trust.',
        )
    if trust is None:
        workflows = None if repo is None else workflow_of(repo, workflow, ref)
        trust = trust_from_options([] if key is None else [Path(key)], None, workflows)
    return Verifier(trust, **options).open(path, bundle=bundle, summary=summary, folder=folder)


def _path(given: StrPath | None) -> Path | None:
    return None if given is None else Path(given)
