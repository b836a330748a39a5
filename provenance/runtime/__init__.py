# SPDX-License-Identifier: Apache-2.0
"""Load and run models: one worker process for each model, with limits."""
