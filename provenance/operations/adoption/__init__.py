# SPDX-License-Identifier: Apache-2.0
"""What `init` finds out about a repository, and what it writes: one question a file."""
