# SPDX-License-Identifier: Apache-2.0
"""Signatures with a certificate: making and verifying them.

This is the only package that imports `sigstore`, and it uses only the public interface.
"""

import logging

# The warnings are for its own command line; errors are raised as exceptions.
logging.getLogger("sigstore").addHandler(logging.NullHandler())
