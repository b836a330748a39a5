# SPDX-License-Identifier: Apache-2.0
"""For consumers: verify models, and load only verified ones."""
