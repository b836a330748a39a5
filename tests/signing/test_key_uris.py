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
from typing import Final

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
    for name in ("PROVENANCE_KEY_PASSPHRASE", "PROVENANCE_KEY_PIN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, key: KeyPair) -> Fake:
    """Replaces the client library of a scheme."""

    def put(scheme: str, by: KeyPair = key, **how: object) -> FakeClient:
        client = FakeClient(by, **how)  # type: ignore[arg-type]
        monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, scheme, client)
        monkeypatch.setenv("PROVENANCE_KEY_PIN", "123456")
        return client

    return put


@pytest.fixture
def encrypted(tmp_path: Path, key: KeyPair) -> Path:
    path = tmp_path / "release.key"
    path.write_bytes(private_pem(key.key, PASSPHRASE.encode()))
    return path


def remote(scheme: str, key: KeyPair) -> SigningKey:
    return open_key(REMOTE[scheme], key.public)


# files


def test_a_file_says_by_itself_which_key_it_holds(key: KeyPair) -> None:
    opened = open_key(key.signer)
    assert opened.public.hint == key.hint
    assert opened.scheme is FILE
    assert opened.sign(b"data")
    assert open_key(key.signer, key.public).public.hint == key.hint


def test_a_file_with_the_public_key_of_another_is_refused(key: KeyPair, other_key: KeyPair) -> None:
    with pytest.raises(InputError, match=r"other\.pub is not the public key of"):
        open_key(key.signer, other_key.public)


def test_a_passphrase_is_taken_from_the_environment(
    encrypted: Path, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVENANCE_KEY_PASSPHRASE", PASSPHRASE)

    def never(_what: str) -> str:
        raise AssertionError("a person was asked")

    assert open_key(f"file:{encrypted}", None, never).public.hint == key.hint


def test_a_passphrase_is_asked_for_at_a_terminal_once(encrypted: Path, key: KeyPair) -> None:
    asked: list[str] = []

    def ask(what: str) -> str:
        asked.append(what)
        return PASSPHRASE

    opened = open_key(f"file:{encrypted}", None, ask)
    opened.sign(b"one"), opened.sign(b"two")
    assert asked == [f"passphrase of the key {encrypted}"]


def test_without_a_passphrase_it_is_said_where_to_put_it(encrypted: Path) -> None:
    with pytest.raises(UnavailableError, match="needs a passphrase") as raised:
        open_key(f"file:{encrypted}")
    assert "PROVENANCE_KEY_PASSPHRASE" in (raised.value.help or "")


def test_the_wrong_passphrase_opens_nothing_and_is_not_shown(
    encrypted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVENANCE_KEY_PASSPHRASE", "not-this-one")
    with pytest.raises(UnavailableError, match="wrong passphrase") as raised:
        open_key(f"file:{encrypted}")
    assert "not-this-one" not in f"{raised.value} {raised.value.help}"


# the table


def test_the_table_is_that_of_the_library() -> None:
    extras = importlib.metadata.metadata("securesystemslib").get_all("Provides-Extra") or []
    for scheme in SCHEMES:
        if scheme is not FILE:
            assert scheme.extra in extras
            assert scheme.name in SIGNER_FOR_URI_SCHEME
            assert scheme.public_key
            assert scheme.check
    assert {*REMOTE, "file"} == set(BY_NAME)


@pytest.mark.parametrize("scheme", REMOTE)
def test_every_scheme_is_passed_on_as_it_was_written(scheme: str, key: KeyPair, fake: Fake) -> None:
    client = fake(scheme)
    opened = remote(scheme, key)
    assert opened.sign(b"data")
    assert client.opened == [REMOTE[scheme]]
    assert opened.public.path == str(key.public)


@pytest.mark.parametrize("scheme", REMOTE)
def test_which_key_signs_has_to_be_said(scheme: str) -> None:
    with pytest.raises(InputError, match=f"--signer {scheme}: the public key is missing") as raised:
        open_key(REMOTE[scheme])
    help = raised.value.help or ""
    assert "--public-key PEM" in help
    command = BY_NAME[scheme].public_key_of(REMOTE[scheme])
    assert command in help
    assert re.findall(r"\b[A-Z]+\b", command.replace("PYKCS11LIB", "")) in (
        [],
        ["DER"] * 1,
        ["PEM"],
    )
    assert BY_NAME[scheme].public_key_of(f"{scheme}:") == BY_NAME[scheme].public_key


def test_what_a_uri_names_is_quoted_for_the_shell() -> None:
    command = BY_NAME["hsm"].public_key_of("hsm:17?label=YubiKey+PIV+%2315%3Bid")
    assert "--token-label 'YubiKey PIV #15;id' " in command
    assert "--id 11 " in command
    assert "--key-id 'alias/$(id)' " in BY_NAME["awskms"].public_key_of("awskms:alias/$(id)")


@pytest.mark.parametrize("path", ["", "..", "/", "-k"])
def test_a_path_that_names_no_key_file_is_an_error_with_advice(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        open_key(f"file:{path}")
    name = shlex.split(key_advice.make_one(path).partition(", then")[0])[-1]
    assert Path(name).name in ("release", "-k")
    assert not name.startswith("-")


def test_a_key_that_is_missing_is_made_with_the_command_in_the_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="does not exist") as raised:
        open_key("file:my keys/release.key")
    said = raised.value.help or ""
    assert said == (
        "Make a key pair: provenance keygen 'my keys/release', then --signer "
        "'file:my keys/release.key'"
    )
    keygen(Path("my keys/release"))
    assert open_key("file:my keys/release.key").scheme is FILE


@pytest.mark.parametrize("scheme", REMOTE)
def test_a_client_that_is_missing_is_named_with_what_installs_it(
    scheme: str, key: KeyPair, fake: Fake
) -> None:
    fake(scheme, opening=UnsupportedLibraryError("some library required"))
    with pytest.raises(UnavailableError, match="its client library is not installed") as raised:
        remote(scheme, key)
    assert raised.value.help == f'pip install "securesystemslib[{BY_NAME[scheme].extra}]"'


@pytest.mark.parametrize("scheme", REMOTE)
@pytest.mark.parametrize("kind", ["rsa", "ed25519", "p384"])
def test_only_one_kind_of_key_signs(scheme: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "k.pub"
    path.write_bytes(PUBLIC[kind]())
    with pytest.raises(InputError, match="expected an ECDSA P-256 key"):
        open_key(REMOTE[scheme], path)


@pytest.mark.parametrize("scheme", REMOTE)
@pytest.mark.parametrize("when", ["opening", "signing"])
def test_whatever_a_client_raises_is_explained(
    scheme: str, when: str, key: KeyPair, fake: Fake
) -> None:
    fake(scheme, **{when: RuntimeError("the service\nis on fire " + "!" * 500)})
    with pytest.raises(UnavailableError) as raised:
        remote(scheme, key).sign(b"data")
    assert f"the signer {scheme}: " in raised.value.message
    assert "RuntimeError: the service is on fire" in raised.value.message
    assert len(raised.value.message) < 300
    assert raised.value.help == BY_NAME[scheme].check


def test_an_error_without_words_has_a_name(key: KeyPair, fake: Fake) -> None:
    fake("hsm", signing=type("PinIncorrect", (Exception,), {})())
    with pytest.raises(UnavailableError, match=r"does not sign: PinIncorrect$"):
        remote("hsm", key).sign(b"data")


def test_a_signature_by_another_key_is_never_given_out(
    key: KeyPair, other_key: KeyPair, fake: Fake
) -> None:
    fake("awskms", other_key)
    with pytest.raises(UnavailableError, match="is not the public key of this signer") as raised:
        remote("awskms", key).sign(b"data")
    assert "the public key of the key that the URI names" in (raised.value.help or "")


@pytest.mark.parametrize("uri", ["hsm:2?pin=4711", "hsm:2?label=x&4711", "hv:k/1?token=4711"])
def test_a_secret_in_a_uri_is_refused_and_not_repeated(uri: str, key: KeyPair) -> None:
    with pytest.raises(InputError, match="unknown parameter in the signer URI") as raised:
        open_key(uri, key.public)
    assert "change the secret" in (raised.value.help or "")
    assert "4711" not in f"{raised.value} {raised.value.help}"


def test_a_uri_that_is_none_is_refused(key: KeyPair) -> None:
    with pytest.raises(InputError, match="not a URI"):
        open_key("azurekms://[v/keys/k/1", key.public)


# PINs


def test_a_token_gets_its_pin_from_the_environment(key: KeyPair, fake: Fake) -> None:
    client = fake("hsm", secret="pin")
    remote("hsm", key).sign(b"data")
    assert client.asked == [("pin", "123456")]


def test_a_person_is_asked_for_a_pin_once_a_run(
    key: KeyPair, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = fake("hsm", secret="pin")
    monkeypatch.delenv("PROVENANCE_KEY_PIN")
    questions: list[str] = []

    def ask(what: str) -> str:
        questions.append(what)
        return "654321"

    opened = open_key(REMOTE["hsm"], key.public, ask)
    opened.sign(b"one"), opened.sign(b"two")
    assert questions == ["PIN of the key hsm:2?label=release"]
    assert client.asked == [("pin", "654321")] * 2


def test_a_kms_needs_no_pin(key: KeyPair, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake("gcpkms")
    monkeypatch.delenv("PROVENANCE_KEY_PIN")
    assert remote("gcpkms", key).sign(b"data")


def test_a_wrong_pin_is_tried_once_however_many_ask(key: KeyPair, fake: Fake) -> None:
    client = fake("hsm", secret="pin", signing=RuntimeError("wrong PIN"))
    opened = remote("hsm", key)
    failed: list[UnavailableError] = []

    def sign() -> None:
        with pytest.raises(UnavailableError) as raised:
            opened.sign(b"data")
        failed.append(raised.value)

    threads = [threading.Thread(target=sign) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (client.signed, len(failed)) == (1, 8)


def test_a_pin_is_in_no_error_and_no_representation(key: KeyPair, fake: Fake) -> None:
    fake("hsm", secret="pin", signing=RuntimeError("123456 is not the PIN"))
    opened = remote("hsm", key)
    with pytest.raises(UnavailableError, match=r"\[PIN\] is not the PIN") as raised:
        opened.sign(b"data")
    assert "123456" not in f"{raised.value} {raised.value.help} {opened!r}"


def at_once(signer: SigningKey, count: int = 4) -> None:
    threads = [threading.Thread(target=signer.sign, args=(b"data",)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_token_is_asked_one_thing_at_a_time(key: KeyPair, fake: Fake) -> None:
    alone = threading.Lock()
    overlaps: list[bool] = []

    def enter() -> None:
        overlaps.append(not alone.acquire(blocking=False))
        time.sleep(0.02)
        alone.release()

    fake("hsm", during=enter)
    at_once(remote("hsm", key))
    assert overlaps == [False] * 4


def test_a_kms_is_asked_several_things_at_once(key: KeyPair, fake: Fake) -> None:
    together = threading.Barrier(4)  # passed only once all four threads have arrived
    client = fake("awskms", during=lambda: together.wait(10))
    at_once(remote("awskms", key))
    assert (client.signed, together.broken) == (4, False)


# real clients


def test_aws_kms_signs(key: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    with aws(key) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert remote("awskms", key).sign(b"data")


def test_a_refusal_of_aws_kms_is_passed_on(
    key: KeyPair, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with aws(key, 400) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UnavailableError, match=r"AccessDeniedException.* not you"):
            remote("awskms", key).sign(b"data")
    assert capfd.readouterr().err == ""  # the library would log it a second time


def test_vault_signs(key: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    with vault(key) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert remote("hv", key).sign(b"data")


def test_a_refusal_of_vault_is_passed_on(key: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    with vault(key, 403) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UnavailableError, match="Forbidden: permission denied"):
            remote("hv", key).sign(b"data")


def test_a_vault_that_is_not_there_is_unavailable(
    key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    with pytest.raises(UnavailableError, match="the signer hv: does not sign: ConnectionError"):
        remote("hv", key).sign(b"data")


def test_a_token_without_a_module_is_unavailable(
    key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYKCS11LIB", raising=False)
    monkeypatch.setenv("PROVENANCE_KEY_PIN", "123456")
    with pytest.raises(UnavailableError, match="PYKCS11LIB environment variable must be set"):
        remote("hsm", key).sign(b"data")
