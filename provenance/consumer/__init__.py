# SPDX-License-Identifier: Apache-2.0
"""The consumer: load only what was verified.

`opening` verifies a model by the journey of `verify FILE.onnx` and hands it over; `folder` keeps
the private copies that were verified; `keeping` lets the gate read those copies and nothing else;
`model` is what one gets; `session` and `message` are what one makes of it.
"""
