# SPDX-License-Identifier: Apache-2.0
"""What a runtime does with a model: one worker process a model, with limits."""
