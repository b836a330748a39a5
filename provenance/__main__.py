# SPDX-License-Identifier: Apache-2.0
"""`python -m provenance`."""

from provenance.cli import main

main()
