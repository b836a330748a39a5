# SPDX-License-Identifier: Apache-2.0
"""The consumer: load only what was verified.

`verifier` is what one verifies with and opens models by; `folder` keeps the private copies that
were verified; `copying_tree` lets the gate read those copies and nothing else; `model` is what one
gets; `session` and `message` are what one makes of it.
"""
