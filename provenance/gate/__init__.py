# SPDX-License-Identifier: Apache-2.0
"""Conclusions from evidence: units, rules, findings, and the report that decides the verdict."""
