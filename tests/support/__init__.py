# SPDX-License-Identifier: Apache-2.0
"""What tests are built from: small models, keys, whole registries, and the command line."""
