# SPDX-License-Identifier: Apache-2.0
"""Evidence: what is read of a registry, its files and its releases."""
