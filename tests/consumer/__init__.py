# SPDX-License-Identifier: Apache-2.0
"""Tests of `open_model`: the loaded files are the verified ones."""
