#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Take screenshots of `provenance check` in a real terminal, xterm on a virtual display.

    python scripts/screenshot.py docs/images/check.png
    python scripts/screenshot.py --light --columns 80 /tmp/light-80.png

They show a copy of `model/` after an edit like that of ADR-1105, with some other mistakes. The
script needs xterm, Xvfb, ImageMagick and a monospace font; on Debian:

    apt-get install --no-install-recommends xterm xvfb imagemagick fonts-dejavu-core
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
if __package__ in (None, ""):
    sys.path.insert(0, str(ROOT))

from scripts.story import SEED, Stage  # noqa: E402

NEEDED: Final = ("xterm", "Xvfb", "import", "mogrify")
DARK: Final = ("#1b1f24", "#d8dee4")
LIGHT: Final = ("#ffffff", "#1f2328")
"""Background and foreground color of a typical terminal."""

_TITLE: Final = "provenance-screenshot"
_DEADLINE: Final = 30.0
_LONGEST: Final = 120
"""Lines of the terminal, enough for the whole output."""


class ScreenshotError(Exception):
    """A screenshot cannot be taken. The message says why."""


def spoil(tree: Path) -> None:
    """Add typical mistakes to a copy of `model/`."""
    registry = tree / "model" / "registry.json"
    lines = registry.read_text("utf-8").splitlines(keepends=True)
    inside = False
    kept: list[str] = []
    for line in lines:
        if '"id"' in line:
            inside = SEED in line
        lost = inside and ('"license"' in line or '"license_url"' in line)
        kept += [] if lost else [line]
    text = "".join(kept).replace('"opset": 17', '"opset": 16', 1)
    head, _, tail = text.rpartition('"smoke": true')
    registry.write_text(f'{head}"smoke": false{tail}', "utf-8")
    models = tree / "model"
    shutil.copy(models / f"{SEED}1.onnx", models / f"{SEED}0.onnx")
    (models / "quality_regressor_v0.onnx").write_bytes(b"left over")
    sidecar = models / "quality_regressor_ext_v1.json"
    without = [s for s in sidecar.read_text("utf-8").splitlines(keepends=True) if "sha256" not in s]
    sidecar.write_text("".join(without), "utf-8")


def take(path: Path, *, columns: int, light: bool, command: str = "provenance check") -> None:
    """Write a screenshot of the command's output to `path`. Raises ScreenshotError."""
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    if missing:
        raise ScreenshotError(f"{', '.join(missing)}: not installed; see the docstring")
    with tempfile.TemporaryDirectory(prefix="screenshot-") as folder, _display(columns) as display:
        stage = Stage(Path(os.path.realpath(folder)))
        stage.play("key")
        tree = stage.end_of("key")
        spoil(tree)
        done = tree / ".done"
        shown = f"clear; echo '$ {command}'; {command}; printf '\\033[?25l'; : > {done}; sleep 60"
        background, foreground = LIGHT if light else DARK
        terminal = subprocess.Popen(
            [
                *(
                    "xterm",
                    "-T",
                    _TITLE,
                    "-fa",
                    "DejaVu Sans Mono",
                    "-fs",
                    "11",
                    "-b",
                    "14",
                    "+sb",
                    "-bw",
                    "0",
                ),
                *("-bg", background, "-fg", foreground, "-geometry", f"{columns}x{_LONGEST}+0+0"),
                *("-tn", "xterm-256color", "-e", "/bin/sh", "-c", shown),
            ],
            cwd=tree,
            env=stage.environment() | {"DISPLAY": display},
        )
        try:
            _wait_for(done, terminal)
            time.sleep(1)  # the terminal may still be drawing
            subprocess.run(
                ["import", "-window", _TITLE, f"png:{path}"],
                env=os.environ | {"DISPLAY": display},
                check=True,
            )
        finally:
            terminal.terminate()
            terminal.wait()
    trim = ("-trim", "+repage", "-bordercolor", background, "-border", "14")
    small = ("-colors", "48", "-strip", "-define", "png:compression-level=9")
    subprocess.run(["mogrify", *trim, *small, path], check=True)


@contextmanager
def _display(columns: int) -> Iterator[str]:
    """Start a virtual display that is large enough, and yield its name."""
    reader, writer = os.pipe()
    size = f"{columns * 11 + 60}x{_LONGEST * 20 + 60}x24"
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", size, "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as stream:
            number = stream.readline().strip()
        if not number:
            raise ScreenshotError("Xvfb did not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


def _wait_for(path: Path, terminal: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _DEADLINE
    while not path.exists():
        if terminal.poll() is not None or time.monotonic() > until:
            raise ScreenshotError("the command did not end in the terminal")
        time.sleep(0.1)


def main(arguments: list[str] | None = None) -> int:
    """Run the script, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", type=Path, help="the PNG file to write")
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--light", action="store_true", help="dark text on a light background")
    parser.add_argument("--command", default="provenance check", help="the command to show")
    options = parser.parse_args(arguments)
    try:
        take(
            options.picture,
            columns=options.columns,
            light=options.light,
            command=options.command,
        )
    except (ScreenshotError, OSError, subprocess.CalledProcessError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
