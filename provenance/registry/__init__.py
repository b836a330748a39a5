# SPDX-License-Identifier: Apache-2.0
"""Registries of any shape: their mapping to this project's fields, and their rows."""
