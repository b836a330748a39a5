# SPDX-License-Identifier: Apache-2.0
"""Where a private key may be: the schemes of `--signer URI`, and what each needs.

All but files are those of `securesystemslib`, which knows many clouds and tokens so that this
project knows none. A row here is all that there is to a scheme. Passphrases and PINs are never
taken from an argument, which every list of processes shows.
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
"""Asks a person for what it is given the name of, without showing the answer."""


@dataclass(frozen=True)
class Secret:
    """What opens a key: what it is called, and the environment variable that may hold it."""

    name: str
    variable: str

    def get(self, of: str, ask: Ask | None) -> str:
        """Return the secret of the key `of`. Raises UnavailableError if it cannot be asked for."""
        found = os.environ.get(self.variable)
        if found:
            return found
        if ask is None:
            raise UnavailableError(
                f"{of} needs a {self.name}",
                help=f"Put it in {self.variable}, or sign at a terminal, which asks for it.",
            )
        return ask(f"{self.name} of {of}")


PASSPHRASE = Secret("passphrase", "PROVENANCE_KEY_PASSPHRASE")
PIN = Secret("PIN", "PROVENANCE_KEY_PIN")


@dataclass(frozen=True)
class Scheme:
    """Where a key may be.

    Attributes:
        form: How its URI is written.
        where: What holds the key, for people.
        extra: The extra of `securesystemslib` that brings its client, None where none is needed.
        secret: What opens it.
        threads: How many signatures it may be asked for at once.
        public_key: How its public key is had, as a command where there is one. Its words in
            capitals are the groups of `parts`.
        parts: What the command needs of a URI.
        check: What to look at where it does not sign.
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

        With the words in capitals as they are if the URI does not say what they stand for.
        """
        match = re.fullmatch(self.parts, uri) if self.parts else None
        if match is None:
            return self.public_key
        found = {word: shlex.quote(unquote_plus(part)) for word, part in match.groupdict().items()}
        if "ID" in found:  # the URI has it in decimal, and pkcs11-tool in hexadecimal
            found["ID"] = f"{int(found['ID']):02x}"
        return re.sub(rf"\b({'|'.join(found)})\b", lambda m: found[m[1]], self.public_key)


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
        threads=1,  # a token has one session that is logged in, and PKCS#11 modules few locks
        public_key='pkcs11-tool --module "$PYKCS11LIB" --token-label TOKEN --read-object '
        "--type pubkey --id ID -o key.der && "
        "openssl pkey -pubin -inform DER -in key.der -out release.pub",
        parts=r"hsm:(?P<ID>\d{1,9})\?label=(?P<TOKEN>[^&]+)",
        check="Is the token there, PYKCS11LIB the path of its PKCS#11 module, the key id right, "
        f"and the PIN ({PIN.variable})? A wrong one is tried once.",
    ),
    Scheme(
        "awskms:KEY",
        "AWS KMS: key id, ARN or alias",
        extra="awskms",
        public_key="aws kms get-public-key --key-id KEY --query PublicKey --output text "
        "| base64 -d | openssl pkey -pubin -inform DER -out release.pub",
        parts=r"awskms:(?P<KEY>.+)",
        check="Are credentials and AWS_DEFAULT_REGION set, and may they kms:Sign with this key?",
    ),
    Scheme(
        "gcpkms:projects/…/cryptoKeyVersions/N",
        "Google Cloud KMS: the version of a key",
        extra="gcpkms",
        public_key="gcloud kms keys versions get-public-key N --key KEY --keyring RING "
        "--location PLACE --project PROJECT --output-file release.pub",
        parts=r"gcpkms:projects/(?P<PROJECT>[^/]+)/locations/(?P<PLACE>[^/]+)/keyRings/"
        r"(?P<RING>[^/]+)/cryptoKeys/(?P<KEY>[^/]+)/cryptoKeyVersions/(?P<N>[^/]+)",
        check="Are there application default credentials with the role cloudkms.signer?",
    ),
    Scheme(
        "azurekms://VAULT.vault.azure.net/keys/KEY/VERSION",
        "Azure Key Vault",
        extra="azurekms",
        public_key="az keyvault key download --vault-name VAULT --name KEY --version VERSION "
        "--encoding PEM --file release.pub",
        parts=r"azurekms://(?P<VAULT>[^./]+)\.vault\.azure\.net/keys/(?P<KEY>[^/]+)/"
        r"(?P<VERSION>[^/]+)",
        check="Is somebody logged in who is a Key Vault Crypto User?",
    ),
    Scheme(
        "hv:KEY/VERSION",
        "HashiCorp Vault, or OpenBao: the transit engine",
        extra="vault",
        public_key="vault read -format=json transit/keys/KEY "
        """| jq -r '.data.keys["VERSION"].public_key' > release.pub""",
        parts=r"hv:(?P<KEY>[^/]+)/(?P<VERSION>\d+)",
        check="Are VAULT_ADDR and VAULT_TOKEN set, and may the token update transit/sign/KEY?",
    ),
)
BY_NAME: Final = {s.name: s for s in SCHEMES}
