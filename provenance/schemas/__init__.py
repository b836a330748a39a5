# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of the documents that this package writes: predicates and the report."""

from __future__ import annotations

from typing import Final

MODELS_SCHEMA: Final = "https://onnx-provenance.dev/schemas/models.schema.json"
"""The address of the schema of a registry in this project's own shape."""
