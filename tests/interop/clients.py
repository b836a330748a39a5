# SPDX-License-Identifier: Apache-2.0
"""The real clients, as functions that say null or the reason of a refusal."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.interop.peers import HERE
from tests.interop.release import Claim, environment

EMPTY_SIGNING_CONFIG: Final = '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}'
EMPTY_TRUSTED_ROOT: Final = (
    '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'
)
PASSWORD: Final = "interop"


@dataclass(frozen=True)
class Cosign:
    """cosign, with a home of its own."""

    binary: Path
    home: Path

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> tuple[int, str]:
        """Exit status and standard error of `cosign ARGUMENTS`."""
        done = subprocess.run(
            [self.binary, *arguments],
            cwd=cwd,
            env=environment({"HOME": str(self.home), "COSIGN_PASSWORD": PASSWORD}),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    def verify_blob(self, key: Path, bundle: Path, file: Path) -> str | None:
        """None where `cosign verify-blob` accepts, else its error."""
        return self._verify("verify-blob", key, bundle, file)

    def verify_attestation(self, key: Path, bundle: Path, file: Path, kind: str) -> str | None:
        """None where `cosign verify-blob-attestation --type KIND` accepts, else its error."""
        return self._verify("verify-blob-attestation", key, bundle, file, "--type", kind)

    def _verify(self, command: str, key: Path, bundle: Path, file: Path, *more: str) -> str | None:
        options = ("--key", key, "--bundle", bundle, "--insecure-ignore-tlog")
        status, error = self.run(command, *options, *more, file)
        if (status == 0) != ("Verified OK" in error):
            raise AssertionError(f"cosign {command}: exit {status}, but: {error}")
        return None if status == 0 else error


@dataclass(frozen=True)
class CosignSigner:
    """cosign with our private key imported, signing without a log: it reaches no service."""

    cosign: Cosign
    folder: Path

    @classmethod
    def of(cls, cosign: Cosign, folder: Path, private_key: Path) -> CosignSigner:
        """Import a PKCS#8 key into `folder`."""
        status, error = cosign.run(
            "import-key-pair", "--key", private_key, "--output-key-prefix", "cosign", cwd=folder
        )
        assert status == 0, error
        (folder / "signing-config.json").write_text(EMPTY_SIGNING_CONFIG, "utf-8")
        (folder / "trusted-root.json").write_text(EMPTY_TRUSTED_ROOT, "utf-8")
        return cls(cosign, folder)

    @property
    def public_key(self) -> Path:
        """The public key as cosign wrote it."""
        return self.folder / "cosign.pub"

    def sign_blob(self, file: Path, bundle: Path) -> Path:
        """`cosign sign-blob`: a message signature over the bytes of `file`."""
        return self._sign("sign-blob", bundle, file)

    def attest(self, statement: Path, bundle: Path) -> Path:
        """`cosign attest-blob --statement`: a DSSE envelope around `statement`."""
        return self._sign("attest-blob", bundle, "--statement", statement)

    def _sign(self, command: str, bundle: Path, *what: str | Path) -> Path:
        status, error = self.cosign.run(
            command,
            *("--key", self.folder / "cosign.key", "--bundle", bundle, "--yes"),
            *("--signing-config", self.folder / "signing-config.json"),
            *("--trusted-root", self.folder / "trusted-root.json"),
            *what,
        )
        assert status == 0, error
        return bundle


@dataclass(frozen=True)
class SigstoreJs:
    """sigstore-js, run by `node/verify.cjs`."""

    node: Path
    node_modules: Path

    def verify(self, claims: Sequence[Claim], keys: Mapping[str, str]) -> list[str | None]:
        """For each claim None where it is accepted, else the reason. `keys` are DER, by hint."""
        jobs = [{"bundle": str(c.bundle), "artifact": str(c.file), "keys": keys} for c in claims]
        done = subprocess.run(
            [self.node, HERE / "node" / "verify.cjs"],
            input=json.dumps(jobs),
            env=environment({"NODE_PATH": str(self.node_modules)}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results: list[str | None] = json.loads(done.stdout)
        assert len(results) == len(claims)
        return results
