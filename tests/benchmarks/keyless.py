# SPDX-License-Identifier: Apache-2.0
"""Signing and verifying 1,000 rows with an identity: `python -m tests.benchmarks.keyless`.

It needs the Sigstore instance on loopback of the interoperability tests.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from provenance.signing import certificate
from tests.benchmarks.measure import Command, Run, benchmark, provenance
from tests.benchmarks.table import Result, report
from tests.interop.instance.instance import Instance, Services, running
from tests.interop.peers import prepare
from tests.interop.release import environment

ROWS: Final = 1_000
SAMPLE: Final = 10
"""How often `sigstore sign` is measured; a thousand times would take a quarter of an hour."""

ROUNDS: Final = 3

WAIT: Final = """
import sys, time
from pathlib import Path
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext
config = ClientTrustConfig.from_json(Path(sys.argv[1]).read_text())
token = IdentityToken(Path(sys.argv[2]).read_text())
with SigningContext.from_trust_config(config).signer(token) as signer:
    signer.sign_artifact(b"warm")
    began = time.perf_counter()
    for i in range(int(sys.argv[3])):
        signer.sign_artifact(b"%d" % i)
    print((time.perf_counter() - began) / int(sys.argv[3]))
"""
"""Prints the mean seconds that the log takes to answer one upload."""

VERIFY: Final = """
import sys, time
from pathlib import Path
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.verify import Verifier
from sigstore.verify.policy import UnsafeNoOp
config = ClientTrustConfig.from_json(Path(sys.argv[1]).read_text())
verifier = Verifier(trusted_root=config.trusted_root)
began = time.perf_counter()
for path in Path(sys.argv[2]).glob("*.sigstore.json"):
    bundle = Bundle.from_json(path.read_bytes())
    verifier.verify_dsse(bundle, UnsafeNoOp())
print(time.perf_counter() - began)
"""
"""Prints the seconds for verifying bundles, one after the other in one process."""


class Bench:
    """The registry, and the clients that sign and verify it."""

    def __init__(self, folder: Path, instance: Instance) -> None:
        self.folder = folder
        self.instance = instance
        self.root = folder / "registry"
        self.token = folder / "token"
        self._bin = Path(sys.executable).parent

    def lines(self) -> Iterator[Result]:
        """The table's lines."""
        benchmark("many_rows", self.root, str(ROWS)).run()
        self.token.write_text(self.instance.token(), "utf-8")
        signed = self._release()
        bundles = sorted((self.root / "bundles").glob("*.sigstore.json"))
        one = self._sigstore_sign()
        yield _ratio(
            f"`release --signer keyless`, {len(bundles):,} documents",
            signed.seconds,
            f"`sigstore sign` {len(bundles):,} times ({one:.2f} s each)",
            one * len(bundles),
            0.2,
        )
        wait = self._python(WAIT, self.instance.trust_config, self.token, str(SAMPLE))
        yield _ratio(
            "the same",
            signed.seconds,
            f"the waits for the log, one after the other ({wait:.2f} s each)",
            wait * len(bundles),
            0.25,
        )
        certificates = {
            json.loads(p.read_bytes())["verificationMaterial"]["certificate"]["rawBytes"]
            for p in bundles
        }
        count = len(certificates)
        yield Result("certificates of that run", str(count), "", "", "1", count == 1)
        verified = self._verify()
        theirs = self._python(VERIFY, self.instance.trust_config, bundles[0].parent)
        yield _ratio(
            f"`verify`, {ROWS / verified.seconds:.0f} rows/s, "
            f"{verified.cpu / verified.seconds:.2f} cores",
            verified.seconds,
            f"sigstore-python in one process, {len(bundles) / theirs:.0f} bundles/s",
            theirs,
            2.0,  # with hashing, reading and all rules about the rows, which it does not do
        )

    def _release(self) -> Run:
        options = ("--identity-token", self.token, "--trust-config", self.instance.trust_config)
        return provenance(self.root, "release", "--signer", "keyless", *options).run()

    def _verify(self) -> Run:
        """The registry trusts the identity, and its root is at hand."""
        bundle = next((self.root / "bundles").glob("*.sigstore.json"))
        material = json.loads(bundle.read_bytes())["verificationMaterial"]
        who = certificate.read(base64.b64decode(material["certificate"]["rawBytes"]))
        (self.root / "root.json").write_bytes(self.instance.trusted_root.read_bytes())
        (self.root / "provenance.toml").write_text(
            'registry = "model/registry.json"\n[trust]\ntrusted_root = "root.json"\n'
            f"[[trust.identity]]\nissuer = {json.dumps(who.issuer)}\n"
            f"subject = {json.dumps(who.subject)}\n",
            "utf-8",
        )
        # The policy is another than the one that was summarised: the summary is signed again.
        self._release()
        verify = provenance(self.root, "verify", "--offline", "--quiet")
        runs = [verify.run() for _ in range(ROUNDS)]
        return min(runs, key=lambda run: run.seconds)

    def _sigstore_sign(self) -> float:
        began = time.perf_counter()
        for number in range(SAMPLE):
            file = self.folder / f"file{number}"
            file.write_bytes(b"%d" % number)
            subprocess.run(
                [
                    *(self._bin / "sigstore", "--trust-config", self.instance.trust_config),
                    *("sign", "--bundle", self.folder / f"file{number}.sigstore.json", file),
                ],
                env=environment({"SIGSTORE_IDENTITY_TOKEN": self.token.read_text("utf-8")}),
                capture_output=True,
                check=True,
            )
        return (time.perf_counter() - began) / SAMPLE

    def _python(self, script: str, *arguments: str | Path) -> float:
        command = Command([sys.executable, "-W", "ignore", "-c", script, *arguments], self.folder)
        return float(command.run().output)


def _ratio(what: str, ours: float, against: str, theirs: float, target: float) -> Result:
    ratio = ours / theirs
    measured, other = f"{ours:.2f} s", f"{against}: {theirs:.2f} s"
    return Result(what, measured, other, f"{ratio:.3f}", f"<= {target}", ratio <= target)


def lines(folder: Path) -> Iterator[Result]:
    """Yield the lines of the table."""
    os.environ |= environment()
    with running(Services.of(prepare()), folder / "instance") as instance:
        yield from Bench(folder, instance).lines()


if __name__ == "__main__":
    sys.exit(report(lines))
