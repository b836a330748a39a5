# SPDX-License-Identifier: Apache-2.0
"""A whole Sigstore instance in memory: authority, logs, timestamps, and bundles that they make.

As python-tuf's repository simulator does for TUF, it makes an attack a short test: make a good
bundle, change one thing, see it refused. Nothing here is shared with the code under test.
"""
