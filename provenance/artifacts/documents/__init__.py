# SPDX-License-Identifier: Apache-2.0
"""JSON, YAML, TOML and plain text: strict reading, positions, schemas and minimal edits."""
