# SPDX-License-Identifier: Apache-2.0
"""The operations behind the commands, one per module.

Each takes plain arguments and returns a frozen result. None prints or exits.
"""
