# SPDX-License-Identifier: Apache-2.0
"""The places where a private key can be: the schemes of `--signer URI`, and what each needs.

All schemes except files are those of `securesystemslib`, which talks to the clouds and tokens. To
add a scheme, add it to `SCHEMES`. Passphrases and PINs are never read from arguments, which are
visible in the process list.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import unquote_plus

from provenance.errors import UnavailableError
from provenance.frozen import dataclass
from provenance.signing.waiting import THREADS

Ask: TypeAlias = Callable[[str], str]
"""Asks the user for the secret that it is given the name of, without echo."""


@dataclass(frozen=True)
class Secret:
    """A secret that opens a key: its name, and the environment variable that can hold it."""

    name: str
    variable: str

    def get(self, of: str, ask: Ask | None) -> str:
        """Return the secret of the key `of`, from the environment or from the user.

        Raises:
            UnavailableError: If it is not in the environment and the user cannot be asked.
        """
        value = os.environ.get(self.variable)
        if value:
            return value
        if ask is None:
            raise UnavailableError(
                f"{of} needs a {self.name}",
                help=f"Set {self.variable}, or sign in a terminal, where you are asked for it.",
            )
        return ask(f"{self.name} of {of}")


PASSPHRASE = Secret("passphrase", "PROVENANCE_KEY_PASSPHRASE")
PIN = Secret("PIN", "PROVENANCE_KEY_PIN")


@dataclass(frozen=True)
class Scheme:
    """A place where a private key can be.

    Attributes:
        form: The form of its URIs.
        where: What holds the key, for the documentation.
        extra: The extra of `securesystemslib` that installs the client library, or None.
        secret: The secret that opens the key, or None.
        threads: The maximum number of signatures at the same time.
        public_key: The command that gets the public key. Its words in capitals are the groups of
            `parts`.
        parts: A pattern that takes the parts for the command out of a URI.
        check: What to check if signing fails.
    """

    form: str
    where: str
    extra: str | None = None
    secret: Secret | None = None
    threads: int = THREADS
    public_key: str = ""
    parts: str = ""
    check: str = ""

    @property
    def name(self) -> str:
        """The scheme of its URIs."""
        return self.form.partition(":")[0]

    def public_key_of(self, uri: str) -> str:
        """Return the command that gets the public key of the key that `uri` names.

        If the URI has another form, the words in capitals stay in the command.
        """
        match = re.fullmatch(self.parts, uri) if self.parts else None
        if match is None:
            return self.public_key
        parts = {word: shlex.quote(unquote_plus(part)) for word, part in match.groupdict().items()}
        if "ID" in parts:  # decimal in the URI, hexadecimal for pkcs11-tool
            parts["ID"] = f"{int(parts['ID']):02x}"
        return re.sub(rf"\b({'|'.join(parts)})\b", lambda m: parts[m[1]], self.public_key)


FILE: Final = Scheme(
    "file:PATH", "a file: PKCS#8 PEM, encrypted or not", secret=PASSPHRASE, threads=1
)
SCHEMES: Final = (
    FILE,
    Scheme(
        "hsm:KEYID?label=TOKEN",
        "a PKCS#11 token: YubiKey, smart card, HSM, SoftHSM",
        extra="hsm",
        secret=PIN,
        threads=1,  # a token has one logged-in session, and PKCS#11 modules lack locks
        public_key='pkcs11-tool --module "$PYKCS11LIB" --token-label TOKEN --read-object '
        "--type pubkey --id ID -o key.der && "
        "openssl pkey -pubin -inform DER -in key.der -out release.pub",
        parts=r"hsm:(?P<ID>\d{1,9})\?label=(?P<TOKEN>[^&]+)",
        check="Check that the token is connected, that PYKCS11LIB is the path of its PKCS#11 "
        f"module, and that the key id and the PIN ({PIN.variable}) are correct. A wrong PIN is "
        "tried only once.",
    ),
    Scheme(
        "awskms:KEY",
        "AWS KMS: key id, ARN or alias",
        extra="awskms",
        public_key="aws kms get-public-key --key-id KEY --query PublicKey --output text "
        "| base64 -d | openssl pkey -pubin -inform DER -out release.pub",
        parts=r"awskms:(?P<KEY>.+)",
        check="Check that credentials and AWS_DEFAULT_REGION are set, and that the credentials "
        "allow kms:Sign with this key.",
    ),
    Scheme(
        "gcpkms:projects/…/cryptoKeyVersions/N",
        "Google Cloud KMS: the version of a key",
        extra="gcpkms",
        public_key="gcloud kms keys versions get-public-key N --key KEY --keyring RING "
        "--location PLACE --project PROJECT --output-file release.pub",
        parts=r"gcpkms:projects/(?P<PROJECT>[^/]+)/locations/(?P<PLACE>[^/]+)/keyRings/"
        r"(?P<RING>[^/]+)/cryptoKeys/(?P<KEY>[^/]+)/cryptoKeyVersions/(?P<N>[^/]+)",
        check="Check that application default credentials exist and have the role cloudkms.signer.",
    ),
    Scheme(
        "azurekms://VAULT.vault.azure.net/keys/KEY/VERSION",
        "Azure Key Vault",
        extra="azurekms",
        public_key="az keyvault key download --vault-name VAULT --name KEY --version VERSION "
        "--encoding PEM --file release.pub",
        parts=r"azurekms://(?P<VAULT>[^./]+)\.vault\.azure\.net/keys/(?P<KEY>[^/]+)/"
        r"(?P<VERSION>[^/]+)",
        check="Log in with an account that has the role Key Vault Crypto User.",
    ),
    Scheme(
        "hv:KEY/VERSION",
        "HashiCorp Vault, or OpenBao: the transit engine",
        extra="vault",
        public_key="vault read -format=json transit/keys/KEY "
        """| jq -r '.data.keys["VERSION"].public_key' > release.pub""",
        parts=r"hv:(?P<KEY>[^/]+)/(?P<VERSION>\d+)",
        check="Check that VAULT_ADDR and VAULT_TOKEN are set, and that the token may update "
        "transit/sign/KEY.",
    ),
)
BY_NAME: Final = {s.name: s for s in SCHEMES}
