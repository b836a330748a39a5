# SPDX-License-Identifier: Apache-2.0
"""The parts of `init`: what it finds in a repository, and what it writes."""
