# SPDX-License-Identifier: Apache-2.0
"""A verified model: its files, what was signed about it, and ways to load it."""

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
"""The session option of onnxruntime that makes it read external data from another folder."""

_SHOWN: Final = 3


class ModelRefusedError(VerificationError):
    """A model cannot be verified, or does not meet the requirements.

    Attributes:
        report: All findings, each with its rule, its file and the next step.
    """

    def __init__(self, report: Report) -> None:
        failing = report.failing
        shown = "; ".join(f"{f.code} {f.message}" for f in failing[:_SHOWN])
        more = f"; and {len(failing) - _SHOWN} more" if len(failing) > _SHOWN else ""
        super().__init__(f"{report.registry} is refused: {shown}{more}", help=failing[0].help)
        self.report = report


class VerifiedModel:
    """A verified model with private copies of its files.

    Use it as a context manager, or call `close` when it is no longer needed.

    Attributes:
        name: The file name of the model.
        row: The signed canonical row: `id`, `license`, `classification`, …
        sidecar: The sidecar, which was signed with the row, or None if there is no file beside the
            model.
        files: The digests and sizes of the model and of its external data, by file name.
        report: The report of the verification, including warnings and deferrals.
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
        self.files: Mapping[str, Digest] = {name: digest for name, digest in files if digest}
        self.report = report
        self._folder = folder
        self._close = weakref.finalize(self, folder.close)

    @property
    def path(self) -> Path:
        """The path of the private copy, for programs that need a path.

        The copies of the external data lie beside it. The copies exist until the model is closed,
        and only the current user can access them.

        Raises:
            VerificationError: If the copy was changed after it was verified.
            InputError: If the model is closed.
        """
        self._checked().check()
        return self._folder.path / self.name

    def read_bytes(self, name: str | None = None) -> bytes:
        """Return the verified bytes of the model, or of the file `name` from `files`.

        Raises:
            VerificationError: If the copy was changed after it was verified.
            InputError: If the model is closed, or has no file of that name.
        """
        name = name or self.name
        if name not in self.files:
            raise InputError(
                f"{self.name} has no file {name!r}", help=f"Its files are {[*self.files]}."
            )
        with self._checked().open(name) as stream:
            return stream.read()

    def session(self, **options: Any) -> InferenceSession:
        """Load the model into an `onnxruntime.InferenceSession`.

        The session stays usable after the model is closed.

        Args:
            **options: Arguments of `onnxruntime.InferenceSession`.

        Raises:
            UnavailableError: If onnxruntime is not installed (`onnx-provenance[run]`).
            InputError: If the options would load files that were not verified, or the model is
                closed.
            VerificationError: If the copy was changed before or while it was loaded.
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
                f"the session options set {ELSEWHERE}: onnxruntime would load external data that "
                "was not verified",
                help="Remove this option: the verified external data lies beside the model.",
            )
        # A file may also begin like onnxruntime's own format, which was not verified.
        settings.add_session_config_entry("session.load_model_format", "ONNX")
        session = onnxruntime.InferenceSession(str(path), settings, **options)
        self._folder.check()  # the files did not change while onnxruntime read them
        return session

    def proto(self) -> ModelProto:
        """Return the model as an `onnx.ModelProto` with all external data loaded into the tensors.

        This covers all places where ONNX allows a tensor: initializers, attributes, subgraphs,
        functions and sparse tensors.

        Raises:
            VerificationError: If a copy was changed after it was verified.
            InputError: If the model is closed.
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
        """Remove the private copies. Loaded bytes, sessions and protos stay usable."""
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
            raise InputError(f"{self.name} is closed", help="Use it inside its `with` block.")
        return self._folder


def _is_set(settings: Any, name: str) -> bool:
    try:
        settings.get_session_config_entry(name)
    except Exception:  # for an option that is not set, RuntimeError or an error of onnxruntime
        return False
    return True
