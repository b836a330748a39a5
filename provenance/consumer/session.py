# SPDX-License-Identifier: Apache-2.0
"""An onnxruntime session of a model that was verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provenance.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ELSEWHERE: Final = "session.model_external_initializers_file_folder_path"
"""The setting of onnxruntime that makes it look for external data in another folder."""


def open_session(path: Path, options: dict[str, Any]) -> InferenceSession:
    """A session of the model at `path`. `options` are the arguments of `InferenceSession`.

    Raises:
        UnavailableError: onnxruntime is not installed.
        InputError: The options lead onnxruntime to files that were not verified.
    """
    try:
        import onnxruntime
    except ImportError as e:
        raise UnavailableError(
            "onnxruntime is not installed", help="pip install 'onnx-provenance[run]'"
        ) from e
    settings = options.pop("sess_options", None) or onnxruntime.SessionOptions()
    if _is_set(settings, ELSEWHERE):
        raise InputError(
            f"the options of the session set {ELSEWHERE}: external data would not be that which "
            "was verified",
            help="Leave it out: the verified files lie side by side.",
        )
    # By its first bytes a file can also pass for onnxruntime's own format, which was not judged.
    settings.add_session_config_entry("session.load_model_format", "ONNX")
    return onnxruntime.InferenceSession(str(path), settings, **options)


def _is_set(settings: Any, name: str) -> bool:
    try:
        settings.get_session_config_entry(name)
    except Exception:  # onnxruntime raises RuntimeError or its own for what is not set
        return False
    return True
