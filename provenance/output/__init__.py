# SPDX-License-Identifier: Apache-2.0
"""Rendering results. Renderers receive results and decide nothing."""
