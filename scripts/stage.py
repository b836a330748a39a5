# SPDX-License-Identifier: Apache-2.0
"""Run one stage of a build, and print how long it took: `python scripts/stage.py NAME COMMAND...`.

The last line, `stage NAME: 12.3 s`, goes to standard error like all output of this script. The exit
status is that of the command.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence

INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str]) -> int:
    """Run the command in `arguments[1:]` as the stage `arguments[0]`. Return its exit status."""
    if len(arguments) < 2:
        print("usage: stage.py NAME COMMAND...", file=sys.stderr)
        return 2
    name, *command = arguments
    print(f"stage {name} ...", file=sys.stderr, flush=True)
    began = time.monotonic()
    try:
        status = subprocess.run(command, check=False).returncode
    except FileNotFoundError:
        print(f"{command[0]}: no such command", file=sys.stderr)
        status = 127
    except KeyboardInterrupt:
        status = INTERRUPTED
    if status < 0:
        status = 128 - status
    outcome = "" if status == 0 else f", failed with exit {status}"
    took = time.monotonic() - began
    print(f"stage {name}: {took:.1f} s{outcome}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
