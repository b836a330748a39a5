# SPDX-License-Identifier: Apache-2.0
"""The files on disk: digests, the registry, models, sidecars, ensembles, and writing them."""
