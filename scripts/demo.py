# SPDX-License-Identifier: Apache-2.0
"""Sign, release and verify a copy of `model/` with a fresh key. `make demo` runs this script.

The commands and their output are real, and all exit codes are checked. The demonstration fails if
the tool does not do what the text says. It changes nothing in the repository.
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
    """The tool did not do what the demonstration says."""


def main() -> int:
    """Run the demonstration. Return 0 if everything went as expected."""
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
    _say("A copy of model/: seven ONNX models. Five are seeds with a known, deferred defect.")
    _run(folder, "keygen release --quiet", 0, "release.pub")
    _say("Check everything that can be checked before signing. The known defect is shown:")
    _run(folder, "check", 0, "5 deferred (ADR-1105)")
    _say("Sign every row (bytes, name, license, sidecar) and the summary, all or nothing:")
    _run(folder, "release --signer file:release.key", 0, "8 bundles written")
    _say("Verify the release in CI, without the private key:")
    _run(folder, "verify", 0, "OK: 7 rows verified")
    _say("Verify one model as a consumer, with its bundle and the public key:")
    consumer = f"verify-model model/{ROW}.onnx --bundle bundles/{ROW}.onnx.sigstore.json"
    _run(folder, f"{consumer} --key release.pub", 0, "OK: 1 row verified")
    _say(f"Now the incident: an edit drops `license` from the row {ROW}.")
    _drop_license(folder / "model" / "registry.json")
    _run(folder, "verify", 1, "LIC201  no `license`")
    _say("The finding names the line, and the release stops. Exit codes: 0 verified, 1 findings.")


def _drop_license(registry: Path) -> None:
    before, row, after = registry.read_text("utf-8").partition(f'"id": "{ROW}"')
    registry.write_text(before + row + after.replace(LICENSE_LINE, "", 1), "utf-8")
    rows = {r["id"]: r for r in parse_object(registry.read_bytes())["models"]}
    if [name for name, row in rows.items() if "license" not in row] != [ROW]:
        raise DemoError(
            f"model/registry.json is not formatted as expected: {ROW} still has its license"
        )


def _run(folder: Path, arguments: str, expected: int, contains: str) -> None:
    """Run one command, and print it with its output and its exit code."""
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
        raise DemoError(f"`provenance {arguments}`: its output does not contain {contains!r}")


def _say(text: str) -> None:
    print(f"# {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
