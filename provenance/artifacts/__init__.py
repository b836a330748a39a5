# SPDX-License-Identifier: Apache-2.0
"""What is on disk: files, digests, the registry, models, sidecars, ensembles."""
