# SPDX-License-Identifier: Apache-2.0
"""The consumer: load only what was verified."""
