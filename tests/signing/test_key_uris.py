# SPDX-License-Identifier: Apache-2.0
"""Keys in files, tokens and KMS: opening the key of a URI, and the messages if that fails."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME  # type: ignore[attr-defined]

from provenance.errors import InputError, UnavailableError
from provenance.operations.setup import keygen
from provenance.signing import key_advice
from provenance.signing.key_uris import SigningKey, open_key
from provenance.signing.schemes import BY_NAME, FILE, SCHEMES
from tests.support.keys import PUBLIC, KeyPair, private_pem
from tests.support.kms import FakeClient, aws, vault

PASSPHRASE: Final = "correct horse"
REMOTE: Final = {
    "hsm": "hsm:2?label=release",
    "awskms": "awskms:alias/release",
    "gcpkms": "gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
    "azurekms": "azurekms://v.vault.azure.net/keys/k/1",
    "hv": "hv:release/3",
}
Fake = Callable[..., FakeClient]


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROVENANCE_KEY_PASSPHRASE", "PROVENANCE_KEY_PIN", "PYKCS11LIB"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, key: KeyPair) -> Fake:
    """Replace the client library of a scheme."""

    def put(scheme: str, by: KeyPair = key, **how: Any) -> FakeClient:
        client = FakeClient(by, **how)
        monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, scheme, client)
        monkeypatch.setenv("PROVENANCE_KEY_PIN", "123456")
        return client

    return put


@pytest.fixture
def encrypted(tmp_path: Path, key: KeyPair) -> str:
    """The URI of an encrypted key."""
    path = tmp_path / "release.key"
    path.write_bytes(private_pem(key.key, PASSPHRASE.encode()))
    return f"file:{path}"


class Person:
    """A person at a terminal, who answers each question."""

    def __init__(self, answer: str) -> None:
        self.answer, self.questions = answer, list[str]()

    def __call__(self, what: str) -> str:
        self.questions.append(what)
        return self.answer


def remote(scheme: str, key: KeyPair) -> SigningKey:
    return open_key(REMOTE[scheme], key.public)


def refused(scheme: str, key: KeyPair, match: str) -> UnavailableError:
    """Return the error of a signer that cannot be opened or does not sign."""
    with pytest.raises(UnavailableError, match=match) as raised:
        remote(scheme, key).sign(b"data")
    return raised.value


# --- files -------------------------------------------------------------------------------------


def test_file_holds_its_public_key(key: KeyPair, other_key: KeyPair) -> None:
    for public in (None, key.public):
        opened = open_key(key.signer, public)
        assert opened.public.hint == key.hint
        assert opened.scheme is FILE
        assert opened.sign(b"data")
    with pytest.raises(InputError, match=r"other\.pub is not the public key of"):
        open_key(key.signer, other_key.public)


def test_passphrase_comes_from_the_environment_or_a_person(
    encrypted: str, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnavailableError, match="needs a passphrase") as raised:
        open_key(encrypted)
    assert "PROVENANCE_KEY_PASSPHRASE" in (raised.value.help or "")
    person = Person(PASSPHRASE)
    opened = open_key(encrypted, None, person)
    assert opened.sign(b"one") != opened.sign(b"two")
    assert person.questions == [f"passphrase of the key {encrypted.removeprefix('file:')}"]
    monkeypatch.setenv("PROVENANCE_KEY_PASSPHRASE", PASSPHRASE)
    assert open_key(encrypted, None, person).public.hint == key.hint
    assert len(person.questions) == 1
    monkeypatch.setenv("PROVENANCE_KEY_PASSPHRASE", "not-this-one")
    with pytest.raises(UnavailableError, match="wrong passphrase") as raised:
        open_key(encrypted)
    assert "not-this-one" not in f"{raised.value} {raised.value.help}"


@pytest.mark.parametrize("path", ["", "..", "/", "-k"])
def test_path_without_a_key_file_is_refused_with_advice(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        open_key(f"file:{path}")
    name = shlex.split(key_advice.make_one(path).partition(", then")[0])[-1]
    assert Path(name).name in ("release", "-k")
    assert not name.startswith("-")


def test_advice_makes_the_missing_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="does not exist") as raised:
        open_key("file:my keys/release.key")
    assert raised.value.help == (
        "Make a key pair: provenance keygen 'my keys/release', then --signer "
        "'file:my keys/release.key'"
    )
    keygen(Path("my keys/release"))
    assert open_key("file:my keys/release.key").scheme is FILE


# --- every scheme ------------------------------------------------------------------------------


def test_schemes_are_those_of_the_library() -> None:
    extras = importlib.metadata.metadata("securesystemslib").get_all("Provides-Extra") or []
    for scheme in SCHEMES:
        if scheme is not FILE:
            assert scheme.extra in extras
            assert scheme.name in SIGNER_FOR_URI_SCHEME
            assert scheme.public_key
            assert scheme.check
    assert {*REMOTE, "file"} == set(BY_NAME)


@pytest.mark.parametrize("scheme", REMOTE)
def test_scheme_opens_its_uri_with_a_public_key(
    scheme: str, key: KeyPair, fake: Fake, tmp_path: Path
) -> None:
    client = fake(scheme)
    opened = remote(scheme, key)
    assert opened.sign(b"data")
    assert client.opened == [REMOTE[scheme]]
    assert opened.public.path == str(key.public)
    for kind in ("rsa", "ed25519", "p384"):
        (tmp_path / "k.pub").write_bytes(PUBLIC[kind]())
        with pytest.raises(InputError, match="expected an ECDSA P-256 key"):
            open_key(REMOTE[scheme], tmp_path / "k.pub")
    with pytest.raises(InputError, match=f"--signer {scheme}: the public key is missing") as raised:
        open_key(REMOTE[scheme])
    command = BY_NAME[scheme].public_key_of(REMOTE[scheme])
    assert command in (raised.value.help or "")
    assert "--public-key PEM" in (raised.value.help or "")
    placeholders = re.findall(r"\b[A-Z]+\b", command.replace("PYKCS11LIB", ""))
    assert placeholders in ([], ["DER"], ["PEM"])
    assert BY_NAME[scheme].public_key_of(f"{scheme}:") == BY_NAME[scheme].public_key


@pytest.mark.parametrize("scheme", REMOTE)
def test_error_of_a_client_is_explained(scheme: str, key: KeyPair, fake: Fake) -> None:
    for when in ("opening", "signing"):
        fake(scheme, **{when: RuntimeError("the service\nis on fire " + "!" * 500)})
        error = refused(scheme, key, "RuntimeError: the service is on fire")
        assert f"the signer {scheme}: " in error.message
        assert len(error.message) < 300
        assert error.help == BY_NAME[scheme].check
    fake(scheme, signing=type("PinIncorrect", (Exception,), {})())
    refused(scheme, key, r"does not sign: PinIncorrect")
    fake(scheme, opening=UnsupportedLibraryError("some library required"))
    error = refused(scheme, key, "its client library is not installed")
    assert error.help == f'pip install "securesystemslib[{BY_NAME[scheme].extra}]"'


def test_signature_of_another_key_is_refused(key: KeyPair, other_key: KeyPair, fake: Fake) -> None:
    fake("awskms", other_key)
    error = refused("awskms", key, "is not the public key of this signer")
    assert "the public key of the key that the URI names" in (error.help or "")


def test_command_for_a_public_key_is_quoted_for_the_shell() -> None:
    command = BY_NAME["hsm"].public_key_of("hsm:17?label=YubiKey+PIV+%2315%3Bid")
    assert "--token-label 'YubiKey PIV #15;id' " in command
    assert "--id 11 " in command
    assert "--key-id 'alias/$(id)' " in BY_NAME["awskms"].public_key_of("awskms:alias/$(id)")


@pytest.mark.parametrize("uri", ["hsm:2?pin=4711", "hsm:2?label=x&4711", "hv:k/1?token=4711"])
def test_secret_in_a_uri_is_refused_and_not_repeated(uri: str, key: KeyPair) -> None:
    with pytest.raises(InputError, match="unknown parameter in the signer URI") as raised:
        open_key(uri, key.public)
    assert "change the secret" in (raised.value.help or "")
    assert "4711" not in f"{raised.value} {raised.value.help}"


def test_malformed_uri_is_refused(key: KeyPair) -> None:
    with pytest.raises(InputError, match="not a URI"):
        open_key("azurekms://[v/keys/k/1", key.public)


# --- PINs and threads --------------------------------------------------------------------------


def test_pin_comes_from_the_environment_or_a_person(
    key: KeyPair, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = fake("hsm", secret="pin")
    remote("hsm", key).sign(b"data")
    assert client.asked == [("pin", "123456")]
    monkeypatch.delenv("PROVENANCE_KEY_PIN")
    client, person = FakeClient(key, secret="pin"), Person("654321")
    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "hsm", client)
    opened = open_key(REMOTE["hsm"], key.public, person)
    assert opened.sign(b"one") != opened.sign(b"two")
    assert person.questions == ["PIN of the key hsm:2?label=release"]
    assert client.asked == [("pin", "654321")] * 2
    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "gcpkms", FakeClient(key))
    assert remote("gcpkms", key).sign(b"data")  # needs no PIN


def test_pin_is_not_in_an_error(key: KeyPair, fake: Fake) -> None:
    fake("hsm", secret="pin", signing=RuntimeError("123456 is not the PIN"))
    error = refused("hsm", key, r"\[PIN\] is not the PIN")
    assert "123456" not in f"{error} {error.help} {remote('hsm', key)!r}"


def in_threads(count: int, work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_wrong_pin_is_tried_once_by_all_threads(key: KeyPair, fake: Fake) -> None:
    client = fake("hsm", secret="pin", signing=RuntimeError("wrong PIN"))
    opened, failed = remote("hsm", key), list[UnavailableError]()

    def sign() -> None:
        with pytest.raises(UnavailableError) as raised:
            opened.sign(b"data")
        failed.append(raised.value)

    in_threads(8, sign)
    assert (client.signed, len(failed)) == (1, 8)


def test_token_signs_one_document_at_a_time(key: KeyPair, fake: Fake) -> None:
    alone, overlaps = threading.Lock(), list[bool]()

    def enter() -> None:
        overlaps.append(not alone.acquire(blocking=False))
        time.sleep(0.02)
        alone.release()

    fake("hsm", during=enter)
    opened = remote("hsm", key)
    in_threads(4, lambda: opened.sign(b"data"))
    assert overlaps == [False] * 4


def test_kms_signs_several_documents_at_once(key: KeyPair, fake: Fake) -> None:
    together = threading.Barrier(4)  # passed only once all four threads have arrived
    client = fake("awskms", during=lambda: together.wait(10))
    opened = remote("awskms", key)
    in_threads(4, lambda: opened.sign(b"data"))
    assert (client.signed, together.broken) == (4, False)


# --- real clients ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "scheme", "status", "refusal"),
    [
        (aws, "awskms", 400, r"AccessDeniedException.* not you"),
        (vault, "hv", 403, "Forbidden: permission denied"),
    ],
)
def test_real_client_signs_or_passes_on_a_refusal(
    key: KeyPair,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    service: Any,
    scheme: str,
    status: int,
    refusal: str,
) -> None:
    for code in (200, status):
        with service(key, code) as environment:
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            if code == 200:
                assert remote(scheme, key).sign(b"data")
            else:
                refused(scheme, key, refusal)
    assert capfd.readouterr().err == ""  # a library would log the refusal a second time


def test_missing_vault_or_module_is_unavailable(
    key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    refused("hv", key, "the signer hv: does not sign: ConnectionError")
    monkeypatch.setenv("PROVENANCE_KEY_PIN", "123456")
    refused("hsm", key, "PYKCS11LIB environment variable must be set")
