# SPDX-License-Identifier: Apache-2.0
"""Signing with a key and services: the requests, and the handling of the answers."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from provenance.attestations.bundle import Bundle, Envelope, decode
from provenance.errors import InputError, UnavailableError
from provenance.signing import judging, services, trusted_root, waiting
from provenance.signing.judgement import Clock
from provenance.signing.key_signer import KeySigner
from provenance.signing.keyless import instance as instances
from provenance.signing.services import LogService
from provenance.signing.signers import open_signer
from provenance.signing.trust import Trust, TrustedKey
from provenance.signing.trusted_root import Period
from tests.signing.workshop import stranger
from tests.support.keys import KeyPair
from tests.support.sigstore.instance import Instance
from tests.support.sigstore.services import Answer, NoAnswerError, Request, Service, serving
from tests.support.sigstore.services import Services as Simulated

pytestmark = pytest.mark.usefixtures("no_waiting")

PAYLOADS = [b'{"n": 1}', b'{"n": 2}', b'{"n": 3}']
NOW = datetime.datetime.now(datetime.UTC)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture(scope="module")
def running() -> Iterator[Simulated]:
    with serving() as started:
        yield started


@pytest.fixture
def simulated(running: Simulated) -> Iterator[Simulated]:
    """A working instance with a log of Rekor v2."""
    running.requests.clear()
    yield running
    running.faults.clear()


@pytest.fixture
def config(simulated: Simulated, tmp_path: Path) -> Path:
    return simulated.write_config(tmp_path / "trust.json")


@pytest.fixture
def by(key: KeyPair, config: Path) -> KeySigner:
    """A signer whose signatures are stamped and logged."""
    return opened(key, trust_config=config)


def opened(key: KeyPair, **options: Any) -> KeySigner:
    made = open_signer(key.signer, **options)
    assert isinstance(made, KeySigner)
    return made


def sign(by: KeySigner, payloads: list[bytes] = PAYLOADS) -> list[Bundle]:
    return [decode(b) for b in by.sign(payloads, lambda: None)]


def clocks(bundle: Bundle, by: KeySigner) -> list[Clock]:
    judgement = judging.judge(bundle, by.own, None)
    assert judgement.signer is not None, judgement
    return [m.clock for m in judgement.signer.moments]


def refused(by: KeySigner) -> UnavailableError:
    with pytest.raises(UnavailableError) as raised:
        sign(by, PAYLOADS[:1])
    return raised.value


# --- valid answers -----------------------------------------------------------------------------


def test_signer_without_services_adds_no_evidence(key: KeyPair) -> None:
    for bundle in sign(opened(key)):
        assert (bundle.entry, bundle.timestamps, bundle.hint) == (None, (), key.hint)


def test_signatures_are_stamped_and_logged(by: KeySigner, simulated: Simulated) -> None:
    for bundle in sign(by):
        assert bundle.entry is not None
        assert (bundle.entry.kind, bundle.entry.version) == ("hashedrekord", "0.0.2")
        assert clocks(bundle, by) == [Clock.TIMESTAMP]
    assert simulated.requests == {"tsa": 3, "log": 3}
    assert simulated.certificates == 0


def test_entry_of_rekor_v1_has_a_time(key: KeyPair, tmp_path: Path) -> None:
    with serving(rekor=1) as old:
        by = opened(key, trust_config=old.write_config(tmp_path / "trust.json"))
        (bundle,) = sign(by, PAYLOADS[:1])
    assert bundle.entry is not None
    assert (bundle.entry.kind, bundle.entry.version) == ("dsse", "0.0.1")
    assert clocks(bundle, by) == [Clock.LOG, Clock.TIMESTAMP]


def test_each_timestamp_authority_is_asked_once(
    key: KeyPair, config: Path, simulated: Simulated
) -> None:
    url = simulated.urls["tsa"]
    urls = [url, f"{url}/api/v1/timestamp", url]
    (bundle,) = sign(opened(key, trust_config=config, timestamp_urls=urls), PAYLOADS[:1])
    assert len(bundle.timestamps) == 2


def test_timestamps_are_judged_by_a_root_that_is_given_or_fetched(
    key: KeyPair, config: Path, simulated: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = trusted_root.of_file(config)
    asked: list[tuple[trusted_root.Instance, bool]] = []

    def fetch(which: trusted_root.Instance, *, offline: bool) -> object:
        asked.append((which, offline))
        return root

    monkeypatch.setattr(instances, "fetch_root", fetch)
    for options, fetched in (
        ({"root": root}, []),
        ({}, [(trusted_root.Instance.PRODUCTION, False)]),
    ):
        by = opened(key, timestamp_urls=[simulated.urls["tsa"]], **options)
        (bundle,) = sign(by, PAYLOADS[:1])
        assert (bundle.entry, asked) == (None, fetched)
        assert len(bundle.timestamps) == 1


def test_addresses_of_an_instance_come_from_its_configuration(
    key: KeyPair, config: Path, simulated: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The addresses come from undocumented classes of `sigstore`."""
    found = instances.of_file(config)
    log = f"{simulated.urls['log']}/api/v2/log/entries"
    assert instances.log_service(found) == LogService(log, 2)
    assert instances.timestamp_urls(found) == (f"{simulated.urls['tsa']}/api/v1/timestamp",)
    monkeypatch.setattr(instances, "of_public", {trusted_root.Instance.STAGING: found}.__getitem__)
    by = opened(key, staging=True)
    assert by.services is not None
    assert by.services.root == found.root
    assert len(sign(by)) == 3


# --- faults ------------------------------------------------------------------------------------

Respond = Callable[[Request], Answer]
Fault = Callable[[Request, Respond], Answer]


def silent(_request: Request, _answer: Respond) -> Answer:
    raise NoAnswerError


def says(content: bytes, status: int = 200) -> Fault:
    return lambda _request, _answer: Answer(content, status)


ROLES: dict[Service, str] = {"tsa": "the timestamp authority http", "log": "the transparency log"}
FAULTS: dict[str, tuple[Fault, str, int]] = {
    "silent": (silent, "does not answer (ConnectionError)", 4),
    "503": (says(b"out of order", 503), "refused (HTTP 503): out of order", 4),
    "400": (says(b"not for keys", 400), "refused (HTTP 400): not for keys", 1),
    "302": (says(b"", 302), "refused (HTTP 302)", 1),
    "garbage": (says(b"what?"), "did not return a", 4),
    "empty": (says(b"{}"), "did not return a", 4),
    "huge": (says(b" " * 9_000_000), "returned more than", 1),
}


@pytest.mark.parametrize("service", ROLES)
@pytest.mark.parametrize(("fault", "reason", "attempts"), FAULTS.values(), ids=FAULTS)
def test_failing_service_is_named(
    by: KeySigner, simulated: Simulated, service: Service, fault: Fault, reason: str, attempts: int
) -> None:
    simulated.faults[service] = fault
    error = refused(by)
    assert reason in error.message
    assert error.message.startswith(ROLES[service])
    assert error.help
    assert simulated.requests[service] == attempts


def test_hanging_service_ends_the_run_in_time(
    key: KeyPair, config: Path, simulated: Simulated
) -> None:
    def hang(request: Request, answer: Respond) -> Answer:
        simulated.over.wait(10)
        return answer(request)

    simulated.faults["log"] = hang
    by = opened(key, trust_config=config, timeout=1)
    assert "did not answer within 1 seconds" in refused(by).message
    simulated.over.set()
    simulated.over.clear()


# --- wrong answers -----------------------------------------------------------------------------


def stamp(
    by: Instance, request: Request, digest: bytes | None = None, nonce: int | None = None
) -> Answer:
    """Answer a request for a timestamp, as asked or with another digest or nonce."""
    asked = tsp.TimeStampReq.load(request.body)
    digest = digest or asked["message_imprint"]["hashed_message"].native
    return Answer(by.tsa.stamp_digest(digest, NOW, nonce or asked["nonce"].native))


STATUS = tsp.PKIStatusInfo({"status": "rejection", "status_string": ["no clock"]}).dump()
REJECTION = Answer(bytes([0x30, len(STATUS)]) + STATUS)
STAMPS: dict[str, tuple[Callable[[Instance, Request], Answer], str]] = {
    "rejection": (lambda *_: REJECTION, "refused the request: no clock"),
    "another nonce": (lambda by, to: stamp(by, to, nonce=7), "the answer to another request"),
    "another digest": (
        lambda by, to: stamp(by, to, b"?" * 32),
        "an invalid answer: its timestamp of",
    ),
    "a stranger": (
        lambda _, to: stamp(stranger(), to),
        "not made by an authority that was trusted",
    ),
}


@pytest.mark.parametrize(("answer", "reason"), STAMPS.values(), ids=STAMPS)
def test_wrong_timestamp_is_refused(
    by: KeySigner,
    simulated: Simulated,
    answer: Callable[[Instance, Request], Answer],
    reason: str,
) -> None:
    simulated.faults["tsa"] = lambda request, _: answer(simulated.instance, request)
    error = refused(by)
    assert reason in error.message
    assert error.help


def other_body(value: dict[str, Any]) -> None:
    body = json.loads(base64.b64decode(value["canonicalizedBody"]))
    body["spec"]["hashedRekordV002"]["data"]["digest"] = base64.b64encode(b"?" * 32).decode()
    value["canonicalizedBody"] = base64.b64encode(json.dumps(body).encode()).decode()


def other_place(value: dict[str, Any]) -> None:
    value["logIndex"] = value["inclusionProof"]["logIndex"] = "0"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_body, "returned an invalid answer: its log entry is of another signature"),
        (other_place, "returned an invalid answer: its inclusion proof does not match the tree"),
        (lambda v: v["logId"].update(keyId="AAAA"), "is not in the trusted root"),
        (lambda v: v.pop("inclusionProof"), "did not return a log entry"),
        (lambda v: v.update(more=1), "did not return a log entry"),
    ],
    ids=["another body", "another place", "another log", "no proof", "unknown member"],
)
def test_wrong_log_entry_is_refused(
    by: KeySigner, simulated: Simulated, change: Callable[[Any], object], reason: str
) -> None:
    def fault(request: Request, answer: Respond) -> Answer:
        value = json.loads(answer(request).content)
        change(value)
        return Answer(json.dumps(value).encode(), 201)

    simulated.faults["log"] = fault
    assert reason in refused(by).message


def test_more_timestamps_than_a_bundle_may_hold_are_not_written(
    key: KeyPair, config: Path, simulated: Simulated
) -> None:
    urls = [f"{simulated.urls['tsa']}/{n}" for n in range(33)]
    error = refused(opened(key, trust_config=config, timestamp_urls=urls))
    assert "the signing services returned an unusable answer: " in error.message


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from(["AA==", "00"])
)
MEMBERS = (
    *("body", "integratedTime", "logID", "logIndex", "verification", "inclusionProof"),
    *("signedEntryTimestamp", "checkpoint", "hashes", "rootHash", "treeSize", "kind"),
    *("logId", "keyId", "kindVersion", "version", "canonicalizedBody"),
)
ANSWERS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=6)
    ),
    max_leaves=20,
)


@example(answer=b'{"a": {}, "b": {}}')
@example(answer=b'{"a": "x"}')
@example(answer=b'{"a": {"body": "?", "verification": {"inclusionProof": {}}}}')
@example(answer=b'{"a": {"verification": null}}')
@given(answer=st.binary(max_size=64) | ANSWERS.map(lambda v: json.dumps(v).encode()))
@pytest.mark.parametrize("version", [1, 2])
def test_arbitrary_answer_is_a_transient_error(version: int, answer: bytes) -> None:
    log = LogService("http://log.example", version)
    envelope = Envelope(b"{}", "application/vnd.in-toto+json", b"signature")
    with mock.patch.object(services, "_post", return_value=answer):
        with pytest.raises(waiting.TransientError):
            services.entry(log, envelope, ec.generate_private_key(ec.SECP256R1()).public_key())
        with pytest.raises(waiting.TransientError):
            services.timestamp("http://tsa.example", b"signature")


# --- earlier signatures and trust --------------------------------------------------------------


def trust(key: KeyPair, period: Period | None = None) -> Trust:
    return Trust("tests", (TrustedKey.of_pem(key.public.read_bytes(), "release.pub", period),))


def test_complete_signature_is_kept(key: KeyPair, other_key: KeyPair, by: KeySigner) -> None:
    (bundle,) = sign(by, PAYLOADS[:1])
    plain = opened(key)
    for declared in (None, trust(key), trust(key, Period(NOW - HOUR, NOW + HOUR))):
        assert by.has_signed(bundle, declared)
    assert plain.has_signed(bundle, None)
    assert not opened(other_key).has_signed(bundle, None)
    assert not by.has_signed(replace(bundle, timestamps=()), None)
    assert not by.has_signed(replace(bundle, entry=None), None)
    assert by.services is not None
    stamped = replace(by, services=replace(by.services, log=None))
    assert stamped.has_signed(replace(bundle, entry=None), None)
    assert not by.has_signed(bundle, trust(key, Period(NOW + HOUR)))
    assert not plain.has_signed(bundle, trust(key, Period(NOW - HOUR, NOW + HOUR)))


def test_key_with_a_period_needs_a_time(key: KeyPair, other_key: KeyPair, by: KeySigner) -> None:
    dated, plain = trust(key, Period(NOW - HOUR)), opened(key)
    assert by.distrusted(dated) is None
    assert plain.distrusted(trust(key)) is None
    assert "--timestamp-url" in (plain.distrusted(dated) or "")
    assert plain.distrusted(replace(dated, keys=(*dated.keys, *trust(key).keys))) is None
    assert by.distrusted(trust(other_key)) == f"the key {key.private}"
    assert by.services is not None
    for version, has_time in ((1, True), (2, False)):
        log = LogService("http://log", version)
        assert replace(by.services, timestamp_urls=(), log=log).states_time is has_time


# --- options -----------------------------------------------------------------------------------

TSA = {"timestamp_urls": ["https://tsa.example"]}
PUB = {"public_key": Path("release.pub")}


@pytest.mark.parametrize(
    ("uri", "options", "reason"),
    [
        (None, TSA, "--timestamp-url cannot be used with keyless"),
        ("keyless", TSA, "--timestamp-url cannot be used with keyless"),
        (None, PUB, "--public-key cannot be used with keyless"),
        ("keyless", PUB, "--public-key cannot be used with keyless"),
        ("file:x", {"identity_token": Path("t")}, "--identity-token needs --signer keyless"),
    ],
)
def test_option_of_another_kind_of_signer_is_refused(
    uri: str | None, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        open_signer(uri, **options)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        *[
            (url, "not an http or https URL")
            for url in ("timestamp.example", "ftp://tsa.example", "http://", "http://[x")
        ],
        ("https://me:hunter2@tsa.example/", r"tsa\.example: the URL contains a user name"),
    ],
)
def test_invalid_url_is_refused_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as raised:
        services.checked_url(url)
    assert "hunter2" not in f"{raised.value} {raised.value.help}"
