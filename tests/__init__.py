# SPDX-License-Identifier: Apache-2.0
"""The tests, as a package: `tests.support` is shared by all of them."""
