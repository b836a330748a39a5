# SPDX-License-Identifier: Apache-2.0
"""The real clients. Verifying returns None or the reason of a refusal; signing must succeed.

Identity tokens are passed in a file or in the environment, never as an argument.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from tests.interop.credentials import Credential, Identity, Key
from tests.interop.instance.instance import Instance
from tests.interop.peers import HERE
from tests.interop.release import Claim, environment, hint_of, keys_by_hint, refusal_of

EMPTY_SIGNING_CONFIG: Final = '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}'
EMPTY_TRUSTED_ROOT: Final = (
    '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'
)
PASSWORD: Final = "interop"
AT_ONCE: Final = 4
"""Clients that run at the same time: most of the time of one that signs is the log's."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def each(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, items))


@dataclass(frozen=True)
class Draft:
    """A file to sign, or the in-toto statement in it, and the path of the bundle."""

    file: Path
    bundle: Path
    statement: bool = False


@dataclass(frozen=True)
class Cosign:
    binary: Path
    home: Path

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> tuple[int, str]:
        """Run `cosign ARGUMENTS`, and return the exit status and standard error."""
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
        return self._verify("verify-blob", bundle, file, *_by_key(key))

    def verify_attestation(self, key: Path, bundle: Path, file: Path, kind: str) -> str | None:
        """Return None if `cosign verify-blob-attestation --type KIND` accepts, else its error."""
        command = "verify-blob-attestation"
        return self._verify(command, bundle, file, *_by_key(key), "--type", kind)

    def verify(self, command: str, claim: Claim, by: Credential, *more: str) -> str | None:
        if isinstance(by, Key):
            return self._verify(command, claim.bundle, claim.file, *_by_key(by.public), *more)
        options = (
            *("--trusted-root", by.instance.trusted_root),
            *("--certificate-identity", by.subject, "--certificate-oidc-issuer", by.issuer),
        )
        return self._verify(command, claim.bundle, claim.file, *options, *more)

    def verify_logged(self, key: Path, bundle: Path, file: Path, trusted_root: Path) -> str | None:
        """Return None if `cosign verify-blob` also accepts log and timestamp, else its error."""
        options = ("--key", key, "--trusted-root", trusted_root, "--use-signed-timestamps")
        return self._verify("verify-blob", bundle, file, *options)

    def _verify(self, command: str, bundle: Path, file: Path, *more: str | Path) -> str | None:
        status, error = self.run(command, "--bundle", bundle, *more, file)
        if (status == 0) != ("Verified OK" in error):
            raise AssertionError(f"cosign {command}: exit {status}, but: {error}")
        return None if status == 0 else error

    def sign(self, drafts: Sequence[Draft], by: Credential) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if isinstance(by, Key):
                signer = CosignSigner.of(self, folder, by.private)
                each(lambda d: signer.sign(d), drafts)
                return
            token = folder / "token"
            token.write_text(by.instance.token(), "utf-8")
            options = (
                *("--identity-token", token, "--yes"),
                *("--signing-config", by.instance.signing_config),
                *("--trusted-root", by.instance.trusted_root),
            )
            each(lambda d: self._sign(d, *options), drafts)

    def _sign(self, draft: Draft, *options: str | Path) -> None:
        command = ("attest-blob", "--statement") if draft.statement else ("sign-blob",)
        name, *flag = command
        status, error = self.run(name, *options, "--bundle", draft.bundle, *flag, draft.file)
        assert status == 0, error


@dataclass(frozen=True)
class CosignSigner:
    """cosign with our private key imported. Without an instance it uses no service."""

    cosign: Cosign
    folder: Path

    @classmethod
    def of(
        cls, cosign: Cosign, folder: Path, private_key: Path, instance: Instance | None = None
    ) -> CosignSigner:
        """Import a PKCS#8 key into `folder`."""
        status, error = cosign.run(
            "import-key-pair", "--key", private_key, "--output-key-prefix", "cosign", cwd=folder
        )
        assert status == 0, error
        for name, content, file in (
            ("signing-config.json", EMPTY_SIGNING_CONFIG, instance and instance.signing_config),
            ("trusted-root.json", EMPTY_TRUSTED_ROOT, instance and instance.trusted_root),
        ):
            (folder / name).write_text(file.read_text("utf-8") if file else content, "utf-8")
        return cls(cosign, folder)

    @property
    def public_key(self) -> Path:
        return self.folder / "cosign.pub"

    def sign_blob(self, file: Path, bundle: Path) -> Path:
        return self.sign(Draft(file, bundle))

    def attest(self, statement: Path, bundle: Path) -> Path:
        return self.sign(Draft(statement, bundle, statement=True))

    def sign(self, draft: Draft) -> Path:
        """Sign a file or a statement, and return the bundle."""
        self.cosign._sign(
            draft,
            *("--key", self.folder / "cosign.key", "--yes"),
            *("--signing-config", self.folder / "signing-config.json"),
            *("--trusted-root", self.folder / "trusted-root.json"),
        )
        return draft.bundle


@dataclass(frozen=True)
class SigstorePython:
    """The command of sigstore-python, which supports identities but no keys."""

    @property
    def version(self) -> str:
        return importlib.metadata.version("sigstore")

    def verify(self, claims: Sequence[Claim], by: Identity) -> list[str | None]:
        """Return None for each claim that `sigstore verify identity` accepts, else its error.

        Files with their bundles beside them are verified by one process. It stops at the first
        refusal; the files are then verified one by one.
        """
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for number, claim in enumerate(claims):
                place = Path(folder) / str(number)
                place.mkdir()
                files.append(place / claim.file.name)
                files[-1].symlink_to(claim.file)
                (place / f"{claim.file.name}.sigstore.json").symlink_to(claim.bundle)
            if self._verify(files, by) is None:
                return [None] * len(files)
            return each(lambda file: self._verify([file], by), files)

    def _verify(self, files: Sequence[Path], by: Identity) -> str | None:
        policy = ("--cert-identity", by.subject, "--cert-oidc-issuer", by.issuer)
        return self._run(by, "verify", "identity", "--offline", *policy, *files)

    def sign(self, file: Path, bundle: Path, by: Identity) -> None:
        error = self._run(by, "sign", "--bundle", bundle, file, token=by.instance.token())
        assert error is None, error

    def attest(self, file: Path, bundle: Path, by: Identity, predicate: Path, kind: str) -> None:
        """Sign statements about one file with `sigstore attest`, which supports some types only."""
        claim = ("--predicate", predicate, "--predicate-type", kind, "--bundle", bundle)
        error = self._run(by, "attest", *claim, file, token=by.instance.token())
        assert error is None, error

    def _run(self, by: Identity, *arguments: str | Path, token: str | None = None) -> str | None:
        identity = {} if token is None else {"SIGSTORE_IDENTITY_TOKEN": token}
        trust = ("--trust-config", by.instance.trust_config)
        return refusal_of([sys.executable, "-m", "sigstore", *trust, *arguments], identity)


@dataclass(frozen=True)
class SigstoreJs:
    """sigstore-js, run by `node/verify.cjs` and `node/sign.cjs`."""

    node: Path
    node_modules: Path

    def version(self, package: str) -> str:
        found = self.node_modules / "@sigstore" / package / "package.json"
        version: str = json.loads(found.read_bytes())["version"]
        return version

    def verify(self, claims: Sequence[Claim], by: Credential | dict[str, str]) -> list[str | None]:
        """Return None for each accepted claim, else the reason. Keys are in DER, by hint."""
        if isinstance(by, Identity):
            trust: dict[str, object] = {
                "trustedRoot": str(by.instance.trusted_root),
                "subject": by.subject,
                "issuer": by.issuer,
            }
        else:
            trust = {"keys": keys_by_hint(by.public) if isinstance(by, Key) else by}
        jobs = [{"bundle": str(c.bundle), "artifact": str(c.file), **trust} for c in claims]
        results: list[str | None] = json.loads(self._run("verify.cjs", jobs))
        assert len(results) == len(claims)
        return results

    def sign(self, drafts: Sequence[Draft], by: Credential) -> None:
        jobs = [
            {"artifact": str(d.file), "bundle": str(d.bundle), "statement": d.statement}
            for d in drafts
        ]
        order: dict[str, object] = {"jobs": jobs}
        if isinstance(by, Key):
            order |= {"privateKey": str(by.private), "hint": hint_of(by.public)}
        else:
            instance = by.instance
            order |= {"signingConfig": str(instance.signing_config), "token": instance.token()}
        self._run("sign.cjs", order)

    def _run(self, script: str, order: object) -> str:
        done = subprocess.run(
            [self.node, HERE / "node" / script],
            input=json.dumps(order),
            env=environment({"NODE_PATH": str(self.node_modules)}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def _by_key(key: Path) -> tuple[str | Path, ...]:
    return ("--key", key, "--insecure-ignore-tlog")
