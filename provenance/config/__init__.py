# SPDX-License-Identifier: Apache-2.0
"""The configuration: `[tool.provenance]` in pyproject.toml, or the same keys in provenance.toml."""

from provenance.config.configuration import FILE, PYPROJECT, Config, Deferral
from provenance.config.loading import (
    NoConfigError,
    is_pattern,
    load,
    of_text,
    parse_toml,
    read_text,
)
from provenance.config.trust import trust_from_file, trust_from_keys, trust_from_options

__all__ = [
    "FILE",
    "PYPROJECT",
    "Config",
    "Deferral",
    "NoConfigError",
    "is_pattern",
    "load",
    "of_text",
    "parse_toml",
    "read_text",
    "trust_from_file",
    "trust_from_keys",
    "trust_from_options",
]
