# SPDX-License-Identifier: Apache-2.0
"""Evidence: everything that is read about a registry, its files and its releases."""
