# SPDX-License-Identifier: Apache-2.0
"""`python -m provenance`."""

from provenance.cli import main

if __name__ == "__main__":  # not where a process of several imports it
    main()
