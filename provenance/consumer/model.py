# SPDX-License-Identifier: Apache-2.0
"""A model that was verified: its bytes, what was signed about it, and what one does with it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance.artifacts.digest import Digest
from provenance.consumer.folder import PrivateFolder
from provenance.errors import InputError, VerificationError
from provenance.evidence.evidence import Evidence
from provenance.gate.finding import Report

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession


_SHOWN = 3


class ModelRefusedError(VerificationError):
    """A model did not verify, or lacks what is required of it.

    Attributes:
        report: All findings, each with its rule, its file and what to do next.
    """

    def __init__(self, report: Report) -> None:
        failing = report.failing
        shown = "; ".join(f"{f.code} {f.message}" for f in failing[:_SHOWN])
        more = f"; and {len(failing) - _SHOWN} more" if len(failing) > _SHOWN else ""
        super().__init__(f"{report.registry} is refused: {shown}{more}", help=failing[0].help)
        self.report = report


class VerifiedModel:
    """A verified model and private copies of its files. A context manager; `close` ends it.

    Attributes:
        name: The model's file name.
        row: The canonical row as it was signed: `id`, `license`, `classification`, …
        sidecar: The sidecar, where one lay beside the model; it was signed with the row.
        files: Digest and size of the model and of each of its external-data files, by name.
        report: All that was judged, warnings and deferrals included.
    """

    def __init__(self, evidence: Evidence, report: Report, folder: PrivateFolder) -> None:
        (row,) = evidence.rows
        onnx = row.onnx
        assert onnx is not None
        self.name = onnx.name
        self.row: Mapping[str, Any] = row.entry.verbatim
        sidecar = row.sidecar.sidecar if row.sidecar else None
        self.sidecar: Mapping[str, Any] | None = sidecar.value if sidecar else None
        files = ((file.name, file.digest) for file in onnx.files)
        self.files: Mapping[str, Digest] = {name: found for name, found in files if found}
        self.report = report
        self._folder = folder
        self._close = weakref.finalize(self, folder.close)

    @property
    def path(self) -> Path:
        """The private copy, with its external data beside it, for a program that wants a path.

        It exists until the model is closed. Only this user can reach it.

        Raises:
            VerificationError: The copy was changed since it was verified.
            InputError: The model is closed.
        """
        self._checked().check()
        return self._folder.path / self.name

    def read_bytes(self, name: str | None = None) -> bytes:
        """The verified bytes of the model, or of the one of its `files` with that name.

        Raises: as `path`; and InputError where the model has no such file.
        """
        name = name or self.name
        if name not in self.files:
            raise InputError(f"{self.name} has no file {name!r}", help=f"It has {[*self.files]}.")
        with self._checked().open(name) as stream:
            return stream.read()

    def session(self, **options: Any) -> InferenceSession:
        """An `onnxruntime.InferenceSession` of the model; `options` are its arguments.

        It can be used after the model was closed.

        Raises:
            UnavailableError: onnxruntime is not installed (`onnx-provenance[run]`).
            InputError: The options lead it to files that were not verified, or the model is closed.
            VerificationError: The copy was changed before it was loaded.
        """
        from provenance.consumer.session import open_session

        session = open_session(self.path, options)
        self._folder.check()  # what it has read is what was verified
        return session

    def proto(self) -> ModelProto:
        """The model as an `onnx.ModelProto` whose external data is inside. Raises as `path`."""
        from provenance.consumer.message import read_message

        return read_message(self._checked(), self.name)

    def close(self) -> None:
        """Remove the private copies. What was made of the model stays."""
        self._close()

    def __enter__(self) -> VerifiedModel:
        self._checked()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "" if self._close.alive else ", closed"
        return f"<VerifiedModel {self.name}, row {self.row.get('id')!r}{state}>"

    def _checked(self) -> PrivateFolder:
        if not self._close.alive:
            raise InputError(f"{self.name} is closed", help="Use it inside the `with` block.")
        return self._folder
