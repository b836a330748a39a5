# SPDX-License-Identifier: Apache-2.0
"""Renderers for results. They only format; they make no decisions."""
