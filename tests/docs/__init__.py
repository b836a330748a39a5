# SPDX-License-Identifier: Apache-2.0
"""Tests that the documentation says what the program does."""
