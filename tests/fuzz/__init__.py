# SPDX-License-Identifier: Apache-2.0
"""Fuzzing what reads hostile documents, in this process.

`targets` are the readers, `make_corpus` the documents to start from, and `mutate` makes documents
worse. `make fuzz` runs longer than the tests do.
"""
