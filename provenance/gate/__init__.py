# SPDX-License-Identifier: Apache-2.0
"""What is concluded: units, rules, findings, the report that owns the verdict."""
