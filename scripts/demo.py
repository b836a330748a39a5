# SPDX-License-Identifier: Apache-2.0
"""The main job on a copy of `model/`, with a fresh key: what `make demo` shows.

Every command and its output is real, and every exit code is checked: the demonstration fails where
the tool does not do what the text says. Nothing in the repository is touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from provenance.artifacts.documents.strict_json import parse_object

REPOSITORY: Final = Path(__file__).resolve().parent.parent
CONFIGURATION: Final = """\
registry = "model/registry.json"

[[trust.key]]
path = "release.pub"

[[deferral]]
rule = "SID402"
rows = ["fr_regressor_v2_ensemble_v1_seed*"]
reason = "sidecars describe the former [batch, 14] production weights until the one-shot retrain"
reference = "ADR-1105"
"""
ROW: Final = "quality_regressor_ext_v1"
LICENSE_LINE: Final = '      "license": "Apache-2.0",\n'


class DemoError(Exception):
    """The tool did not do what the demonstration says that it does."""


def main() -> int:
    """Run the demonstration; 0 only if everything behaved."""
    with tempfile.TemporaryDirectory(prefix="onnx-provenance-demo-") as name:
        folder = Path(name)
        shutil.copytree(
            REPOSITORY / "model", folder / "model", ignore=shutil.ignore_patterns("*.py", "_*")
        )
        (folder / "provenance.toml").write_text(CONFIGURATION, "utf-8")
        try:
            _story(folder)
        except DemoError as e:
            print(f"\nerror: {e}", file=sys.stderr)
            return 1
    return 0


def _story(folder: Path) -> None:
    _say("A copy of model/: seven ONNX models, five of them seeds with a known, deferred defect.")
    _run(folder, "keygen release --quiet", 0, "release.pub")
    _say("What can be judged before signing. The known defect is shown, never hidden:")
    _run(folder, "check", 0, "5 deferred (ADR-1105)")
    _say("Sign every row (bytes, name, license, sidecar) and the summary, all or nothing:")
    _run(folder, "release --signer file:release.key", 0, "8 bundles written")
    _say("What CI runs, without the private key:")
    _run(folder, "verify", 0, "OK: 7 rows verified")
    _say("What a consumer runs, who has one model, its bundle and the public key:")
    consumer = f"verify-model model/{ROW}.onnx --bundle bundles/{ROW}.onnx.sigstore.json"
    _run(folder, f"{consumer} --key release.pub", 0, "OK: 1 row verified")
    _say(f"Now the incident: an edit drops `license` from the row {ROW}.")
    _drop_license(folder / "model" / "registry.json")
    _run(folder, "verify", 1, "LIC201  no `license`")
    _say("It is named, with its line, and the release stops. Exit codes: 0 verified, 1 findings.")


def _drop_license(registry: Path) -> None:
    before, row, after = registry.read_text("utf-8").partition(f'"id": "{ROW}"')
    registry.write_text(before + row + after.replace(LICENSE_LINE, "", 1), "utf-8")
    rows = {r["id"]: r for r in parse_object(registry.read_bytes())["models"]}
    if [name for name, row in rows.items() if "license" not in row] != [ROW]:
        raise DemoError(f"model/registry.json is not laid out as expected: {ROW} kept its license")


def _run(folder: Path, arguments: str, expected: int, contains: str) -> None:
    """Show one command as it would be typed, its output, and its exit code."""
    print(f"$ provenance {arguments}", flush=True)
    done = subprocess.run(
        [Path(sys.executable).with_name("provenance"), *arguments.split()],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={k: v for k, v in os.environ.items() if not k.startswith("PROVENANCE_")},
        text=True,
        check=False,
    )
    shown = done.stdout.replace(f"{os.path.realpath(folder)}/", "").rstrip("\n")
    print("\n".join(f"  {line}".rstrip() for line in shown.split("\n")))
    print(f"(exit {done.returncode})\n", flush=True)
    if done.returncode != expected:
        raise DemoError(f"`provenance {arguments}`: exit {done.returncode}, expected {expected}")
    if contains not in done.stdout:
        raise DemoError(f"`provenance {arguments}`: its output does not say {contains!r}")


def _say(text: str) -> None:
    print(f"# {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
