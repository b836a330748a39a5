# SPDX-License-Identifier: Apache-2.0
"""The configuration: `[tool.provenance]` in pyproject.toml, or the same keys in provenance.toml."""

from provenance.config.configuration import CONSUMERS, FILE, LIBVMAF, PYPROJECT, Config, Deferral
from provenance.config.gates import Direction, Gate, Gates
from provenance.config.loading import (
    NoConfigError,
    is_pattern,
    load,
    of_text,
    parse_toml,
    read_text,
)
from provenance.config.trust import (
    trust_from_file,
    trust_from_keys,
    trust_from_options,
    workflow_of,
)

__all__ = [
    "CONSUMERS",
    "FILE",
    "LIBVMAF",
    "PYPROJECT",
    "Config",
    "Deferral",
    "Direction",
    "Gate",
    "Gates",
    "NoConfigError",
    "is_pattern",
    "load",
    "of_text",
    "parse_toml",
    "read_text",
    "trust_from_file",
    "trust_from_keys",
    "trust_from_options",
    "workflow_of",
]
