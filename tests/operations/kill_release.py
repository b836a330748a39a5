# SPDX-License-Identifier: Apache-2.0
"""Run `provenance release` and die by SIGKILL before its Nth change of the file system.

An audit hook sees every open for writing, rename, link, mkdir and removal before it happens; it
cannot be caught, and no `finally` runs, as when the power fails. Writes the number of changes when
it survives. Usage: kill_release.py ROOT KEY N [no-exchange]

With `no-exchange` as on a system without a call that exchanges two folders.
"""

from __future__ import annotations

import os
import signal
import sys

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
    root, key, fatal = sys.argv[1], sys.argv[2], int(sys.argv[3])
    import provenance

    if sys.argv[4:] == ["no-exchange"]:
        import ctypes

        vars(ctypes)["CDLL"] = lambda *_, **__: object()
    signer = provenance.open_signer(f"file:{key}")
    signer.sign([b"{}"], lambda: None)  # what signing imports is not what is tested
    from pathlib import Path

    config = provenance.load_config(Path(root))
    provenance.verify(config)
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if writes or event in CHANGES:
            seen += 1
            if seen == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    report = provenance.release(config, signer)
    sys.stdout.write(f"{seen} {report.exit_code}\n")


main()
