# SPDX-License-Identifier: Apache-2.0
"""Tests of `open_model`: what is used is what was verified."""
