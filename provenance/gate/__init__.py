# SPDX-License-Identifier: Apache-2.0
"""What is concluded: evidence, rules, findings, the report that owns the verdict."""
