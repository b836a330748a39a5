# SPDX-License-Identifier: Apache-2.0
"""Signatures with a certificate: making them, and judging them.

The only package that imports `sigstore`, and only through its public interface.
"""

import logging

# Its warnings are for its own command line; what it refuses is raised.
logging.getLogger("sigstore").addHandler(logging.NullHandler())
