# SPDX-License-Identifier: Apache-2.0
"""Make a virtual environment from pinned, hashed requirements. Standard library only.

This file must start on any Python 3, so that an old Python gets a clear error.
"""

import argparse
import os
import subprocess
import sys
import time

NEEDED = (3, 11)


def main() -> int:
    """Make the environment, and return the exit status."""
    if sys.version_info < NEEDED:
        found = ".".join(map(str, sys.version_info[:3]))
        print(
            f"error: {sys.executable} is Python {found}; onnx-provenance needs 3.11 or newer.\n"
            "Use another one: make PYTHON=python3.11 TARGET",
            file=sys.stderr,
        )
        return 2
    parser = argparse.ArgumentParser(description="Make a virtual environment from a lock file.")
    parser.add_argument("folder")
    parser.add_argument("--requirements", required=True, metavar="FILE")
    parser.add_argument("--project", metavar="DIR", help="also install this project, editable")
    options = parser.parse_args()
    began = time.monotonic()
    print(f"setting up {options.folder} from {options.requirements} ...", file=sys.stderr)
    python = os.path.join(options.folder, "bin", "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    steps = [
        [sys.executable, "-m", "venv", "--clear", options.folder],
        # A lock file lists all dependencies, so pip must not add any.
        [*pip, "--require-hashes", "--only-binary=:all:", "--no-deps", "-r", options.requirements],
    ]
    if options.project:
        steps.append([*pip, "--no-deps", "--no-build-isolation", "-e", options.project])
    for step in steps:
        status = subprocess.run(step, check=False).returncode
        if status != 0:
            print(f"error: exit {status} from: {' '.join(step)}", file=sys.stderr)
            return 1
    took = time.monotonic() - began
    print(f"stage set-up: {took:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
