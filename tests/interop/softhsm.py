# SPDX-License-Identifier: Apache-2.0
"""A PKCS#11 token in SoftHSM 2, with keys that are generated in it and cannot leave it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.interop.peers import SoftHsm
from tests.interop.release import REPOSITORY, environment

LABEL: Final = "release"
PIN: Final = "271828"
ADMINISTRATOR: Final = "314159"


@dataclass(frozen=True)
class Token:
    """An initialised token in a folder of its own."""

    module: Path
    settings: Path

    @classmethod
    def make(cls, softhsm: SoftHsm, folder: Path) -> Token:
        tokens = folder / "tokens"
        tokens.mkdir(parents=True)
        settings = folder / "softhsm2.conf"
        settings.write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n", "utf-8")
        token = cls(softhsm.module, settings)
        command: list[str | Path] = [
            *(softhsm.tool, "--module", softhsm.module, "--init-token", "--free"),
            *("--label", LABEL, "--pin", PIN, "--so-pin", ADMINISTRATOR),
        ]
        subprocess.run(command, env=environment(token.environment), check=True, capture_output=True)
        return token

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment in which programs find the token."""
        return {"SOFTHSM2_CONF": str(self.settings), "PYKCS11LIB": str(self.module)}

    def uri(self, number: int, label: str = LABEL) -> str:
        """Return the URI of a key in the token for `--signer`."""
        return f"hsm:{number}?label={label}"

    def generate(self, number: int, path: Path, curve: str = "secp256r1") -> Path:
        """Generate a key pair in the token, and write its public key to `path`."""
        subprocess.run(
            [sys.executable, "-m", __name__, str(number), path, curve],
            cwd=REPOSITORY,
            env=environment(self.environment),
            check=True,
        )
        return path


def _generate(number: int, path: Path, curve: str) -> None:
    """Generate a key in a new process, because a process loads a module only once."""
    import pkcs11
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_der_public_key,
    )
    from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

    token = pkcs11.lib(os.environ["PYKCS11LIB"]).get_token(token_label=LABEL)
    with token.open(user_pin=PIN, rw=True) as session:
        named = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
        parameters = session.create_domain_parameters(pkcs11.KeyType.EC, named, local=True)
        public, _ = parameters.generate_keypair(store=True, id=bytes([number]), label=LABEL)
        key = load_der_public_key(encode_ec_public_key(public))
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


if __name__ == "__main__":
    _generate(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
