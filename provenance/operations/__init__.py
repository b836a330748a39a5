# SPDX-License-Identifier: Apache-2.0
"""One operation a file: from plain arguments to a frozen result. No printing, no exit codes."""
