# SPDX-License-Identifier: Apache-2.0
"""A model that was verified: its bytes, what was signed about it, and what is made of it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provenance.artifacts import paths
from provenance.artifacts.digest import Digest
from provenance.consumer.folder import PrivateFolder
from provenance.errors import InputError, UnavailableError, VerificationError
from provenance.evidence.evidence import Evidence
from provenance.gate.finding import Report

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

ELSEWHERE: Final = "session.model_external_initializers_file_folder_path"
"""The setting of onnxruntime that makes it look for external data in another folder."""

_SHOWN: Final = 3


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
        path = self.path
        try:
            import onnxruntime
        except ImportError as e:
            raise UnavailableError(
                "onnxruntime is not installed", help="pip install 'onnx-provenance[run]'"
            ) from e
        settings = options.pop("sess_options", None) or onnxruntime.SessionOptions()
        if _is_set(settings, ELSEWHERE):
            raise InputError(
                f"the options of the session set {ELSEWHERE}: external data would not be that "
                "which was verified",
                help="Leave it out: the verified files lie side by side.",
            )
        # By its first bytes a file can pass for onnxruntime's own format, which was not judged.
        settings.add_session_config_entry("session.load_model_format", "ONNX")
        session = onnxruntime.InferenceSession(str(path), settings, **options)
        self._folder.check()  # what it has read is what was verified
        return session

    def proto(self) -> ModelProto:
        """The model as an `onnx.ModelProto` in which every tensor holds its own bytes.

        Wherever ONNX allows a tensor: initializers, attributes, subgraphs, functions, sparse
        tensors. Raises as `path`.
        """
        folder = self._checked()
        from onnx import ModelProto

        from provenance.artifacts.onnx_wire import EXTERNAL, tensors

        with folder.open(self.name) as stream:
            model = ModelProto.FromString(stream.read())
        for tensor in tensors(model):
            if tensor.data_location != EXTERNAL:
                continue
            place = {entry.key: entry.value for entry in tensor.external_data}
            inside = self.name.rpartition("/")[0]
            with folder.open(paths.join(inside, place["location"])) as stream:
                stream.seek(int(place.get("offset", "0")))
                # Without a length, or with a length of 0, ONNX reads to the end of the file.
                tensor.raw_data = stream.read(int(place.get("length", "0")) or -1)
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
        return model

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


def _is_set(settings: Any, name: str) -> bool:
    try:
        settings.get_session_config_entry(name)
    except Exception:  # onnxruntime raises RuntimeError or its own for what is not set
        return False
    return True
