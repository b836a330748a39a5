# SPDX-License-Identifier: Apache-2.0
"""Fuzzing what reads hostile documents, in this process.

`targets` are the readers, `mutate` makes documents worse, `corpus/` holds where it starts and what
once mattered. `make fuzz` runs it for longer than the tests do.
"""
