# SPDX-License-Identifier: Apache-2.0
"""Run `provenance release` and die by SIGKILL before its Nth change of the file system.

An audit hook sees every open for writing, rename, link, mkdir and removal before it happens; it
cannot be caught, and no `finally` runs, as when the power fails. Usage:

    kill_release.py ROOT KEY [no-exchange]

With `no-exchange` as on a system without a call that exchanges two folders. Each line of standard
input is an N. It is answered with the exit status of a child process, negative if the child was
killed. Children are forked, so that what is imported for a release is imported once.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

CHANGES = {
    "os.rename",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.chmod",
    "shutil.rmtree",
    "ctypes.dlsym",
}


def main() -> None:
    root, key = Path(sys.argv[1]), sys.argv[2]
    import provenance

    if sys.argv[3:] == ["no-exchange"]:
        import ctypes

        vars(ctypes)["CDLL"] = lambda *_, **__: object()
    signer = provenance.open_signer(f"file:{key}")
    signer.sign([b"{}"], lambda: None)  # what signing imports is not what is tested
    provenance.verify(provenance.load_config(root))

    def release(fatal: int) -> int:
        config = provenance.load_config(root)
        seen = 0

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
            if writes or event in CHANGES:
                seen += 1
                if seen == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        return provenance.release(config, signer).exit_code

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = release(int(line))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


main()
