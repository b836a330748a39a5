# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of what this package writes: predicates, and the report."""
