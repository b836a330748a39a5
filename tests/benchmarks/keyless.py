# SPDX-License-Identifier: Apache-2.0
"""Signing and verifying 1,000 rows with an identity: `python -m tests.benchmarks.keyless`.

Against a real Sigstore instance on loopback, the one of the interoperability tests. Prints a
Markdown table. Exit status 1 says that a target was missed.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from provenance.signing import certificate
from tests.benchmarks.measure import BenchmarkError, Command, Run
from tests.interop.instance.instance import Instance, Services, running
from tests.interop.peers import prepare
from tests.interop.release import environment

REPOSITORY: Final = Path(__file__).resolve().parents[2]
ROWS: Final = 1_000
SAMPLE: Final = 10
"""How often `sigstore sign` is measured; a thousand times would take a quarter of an hour."""

ROUNDS: Final = 3
HEADING: Final = (
    "| what | measured | against | ratio | target | met |\n| --- | --- | --- | --- | --- | --- |\n"
)


class Bench:
    """The registry, and the clients that sign and verify it."""

    def __init__(self, folder: Path, instance: Instance) -> None:
        self.folder = folder
        self.instance = instance
        self.root = folder / "registry"
        self.token = folder / "token"
        self.met = True
        self._bin = Path(sys.executable).parent

    def lines(self) -> Iterator[str]:
        """The table's lines."""
        module: list[str | Path] = [
            sys.executable,
            "-m",
            "tests.benchmarks.many_rows",
            self.root,
            str(ROWS),
        ]
        subprocess.run(module, cwd=REPOSITORY, check=True)
        self.token.write_text(self.instance.token(), "utf-8")
        signed = self._provenance(
            *("release", "--signer", "keyless", "--identity-token", self.token),
            *("--trust-config", self.instance.trust_config),
        )
        bundles = sorted((self.root / "bundles").glob("*.sigstore.json"))
        one = self._sigstore_sign()
        yield self._line(
            f"`release --signer keyless`, {len(bundles):,} documents",
            signed.seconds,
            f"`sigstore sign` {len(bundles):,} times ({one:.2f} s each)",
            one * len(bundles),
            0.2,
        )
        wait = self._log_wait()
        yield self._line(
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
        yield self._count("certificates of that run", len(certificates), 1)
        verified = self._verify()
        theirs = self._sigstore_in_process(bundles)
        yield self._line(
            f"`verify`, {ROWS / verified.seconds:.0f} rows/s, "
            f"{verified.cpu / verified.seconds:.2f} cores",
            verified.seconds,
            f"sigstore-python in one process, {len(bundles) / theirs:.0f} bundles/s",
            theirs,
            2.0,  # with hashing, reading and all rules about the rows, which it does not do
        )

    def _provenance(self, *arguments: str | Path) -> Run:
        return Command([self._bin / "provenance", *arguments], self.root).run()

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
        self._provenance(
            *("release", "--signer", "keyless", "--identity-token", self.token),
            *("--trust-config", self.instance.trust_config),
        )
        runs = [self._provenance("verify", "--offline", "--quiet") for _ in range(ROUNDS)]
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

    def _log_wait(self) -> float:
        """Seconds that the log takes to answer one upload, the mean of some."""
        script = (
            "import sys, time\n"
            "from pathlib import Path\n"
            "from sigstore.models import ClientTrustConfig\n"
            "from sigstore.oidc import IdentityToken\n"
            "from sigstore.sign import SigningContext\n"
            "config = ClientTrustConfig.from_json(Path(sys.argv[1]).read_text())\n"
            "token = IdentityToken(Path(sys.argv[2]).read_text())\n"
            "with SigningContext.from_trust_config(config).signer(token) as signer:\n"
            "    signer.sign_artifact(b'warm')\n"
            "    began = time.perf_counter()\n"
            "    for i in range(int(sys.argv[3])):\n"
            "        signer.sign_artifact(b'%d' % i)\n"
            "    print((time.perf_counter() - began) / int(sys.argv[3]))\n"
        )
        return self._python(script, self.instance.trust_config, self.token, str(SAMPLE))

    def _sigstore_in_process(self, bundles: list[Path]) -> float:
        """Seconds for verifying the bundles, one after the other in one process."""
        script = (
            "import sys, time\n"
            "from pathlib import Path\n"
            "from sigstore.models import Bundle, ClientTrustConfig\n"
            "from sigstore.verify import Verifier\n"
            "from sigstore.verify.policy import UnsafeNoOp\n"
            "config = ClientTrustConfig.from_json(Path(sys.argv[1]).read_text())\n"
            "verifier = Verifier(trusted_root=config.trusted_root)\n"
            "began = time.perf_counter()\n"
            "for path in Path(sys.argv[2]).glob('*.sigstore.json'):\n"
            "    bundle = Bundle.from_json(path.read_bytes())\n"
            "    verifier.verify_dsse(bundle, UnsafeNoOp())\n"
            "print(time.perf_counter() - began)\n"
        )
        return self._python(script, self.instance.trust_config, bundles[0].parent)

    def _python(self, script: str, *arguments: str | Path) -> float:
        command = Command([sys.executable, "-W", "ignore", "-c", script, *arguments], self.folder)
        return float(command.run().output)

    def _line(self, what: str, ours: float, against: str, theirs: float, target: float) -> str:
        ratio = ours / theirs
        self.met = self.met and ratio <= target
        cells = (
            what,
            f"{ours:.2f} s",
            f"{against}: {theirs:.2f} s",
            f"{ratio:.3f}",
            f"<= {target}",
            "yes" if ratio <= target else "**no**",
        )
        return f"| {' | '.join(cells)} |"

    def _count(self, what: str, found: int, wanted: int) -> str:
        self.met = self.met and found == wanted
        return f"| {what} | {found} | | | {wanted} | {'yes' if found == wanted else '**no**'} |"


def main() -> int:
    os.environ |= environment()
    peers = prepare()
    services = Services(
        fulcio=peers.services["fulcio"],
        rekor=peers.services["rekor"],
        timestamp_server=peers.services["timestamp-server"],
        cosign=peers.cosign,
    )
    with tempfile.TemporaryDirectory(prefix="onnx-provenance-keyless-") as name:
        folder = Path(name)
        with running(services, folder / "instance") as instance:
            bench = Bench(folder, instance)
            sys.stdout.write(HEADING)
            try:
                for line in bench.lines():
                    sys.stdout.write(f"{line}\n")
                    sys.stdout.flush()
            except BenchmarkError as e:
                sys.stderr.write(f"{e}\n")
                return 1
    return 0 if bench.met else 1


if __name__ == "__main__":
    sys.exit(main())
