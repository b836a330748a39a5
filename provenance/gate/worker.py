# SPDX-License-Identifier: Apache-2.0
"""Imports everything that workers use, so that the server they are forked from loads it once.

Commands import most of this only when they need it. A process that judges thousands of rows needs
all of it.
"""

from __future__ import annotations

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import message

from provenance.artifacts import onnx_model
from provenance.gate import units
from provenance.signing import judging, keyed

__all__ = ["ec", "exceptions", "hashes", "judging", "keyed", "message", "serialization", "units"]

onnx_model.load_messages()
