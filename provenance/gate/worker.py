# SPDX-License-Identifier: Apache-2.0
"""What every worker comes to load, to be loaded once for all of them.

Commands load the most of this only where they use it. A process that judges thousands of rows uses
all of it: the server that workers are forked from imports this module first.
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
