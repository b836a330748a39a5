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
from hypothesis import given
from hypothesis import strategies as st

from provenance.attestations.bundle import Bundle, Envelope, decode
from provenance.errors import InputError, UnavailableError
from provenance.signing import judging, services, trusted_root, waiting
from provenance.signing.judgement import Clock
from provenance.signing.key_signer import KeySigner
from provenance.signing.keyless import instance as instances
from provenance.signing.services import LogService, Services
from provenance.signing.signers import open_signer
from provenance.signing.trust import Trust, TrustedKey
from provenance.signing.trusted_root import Period
from tests.signing.workshop import stranger
from tests.support.keys import KeyPair
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
    """Return a working instance with a log of Rekor v2."""
    running.requests.clear()
    yield running
    running.faults.clear()


def signer(key: KeyPair, of: Simulated, folder: Path, **more: Any) -> KeySigner:
    made = open_signer(key.signer, trust_config=of.write_config(folder / "trust.json"), **more)
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


# what is made


def test_without_services_nobody_is_asked(key: KeyPair) -> None:
    made = open_signer(key.signer)
    assert isinstance(made, KeySigner)
    for bundle in sign(made):
        assert (bundle.entry, bundle.timestamps, bundle.hint) == (None, (), key.hint)


def test_a_key_is_stamped_and_logged_as_the_configuration_says(
    key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    by = signer(key, simulated, tmp_path)
    for bundle in sign(by):
        assert bundle.entry is not None
        assert (bundle.entry.kind, bundle.entry.version) == ("hashedrekord", "0.0.2")
        assert clocks(bundle, by) == [Clock.TIMESTAMP]
    assert simulated.requests == {"tsa": 3, "log": 3}
    assert simulated.certificates == 0


def test_a_log_of_the_first_version_says_when_too(key: KeyPair, tmp_path: Path) -> None:
    with serving(rekor=1) as old:
        by = signer(key, old, tmp_path)
        for bundle in sign(by):
            assert bundle.entry is not None
            assert (bundle.entry.kind, bundle.entry.version) == ("dsse", "0.0.1")
            assert clocks(bundle, by) == [Clock.LOG, Clock.TIMESTAMP]


def test_several_authorities_may_be_asked_each_once(
    key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    url = simulated.urls["tsa"]
    by = signer(key, simulated, tmp_path, timestamp_urls=[url, f"{url}/api/v1/timestamp", url])
    (bundle,) = sign(by, PAYLOADS[:1])
    assert len(bundle.timestamps) == 2


def test_timestamps_alone_are_judged_by_the_root_that_is_given(
    key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    root = trusted_root.of_file(simulated.write_config(tmp_path / "trust.json"))
    made = open_signer(key.signer, timestamp_urls=[simulated.urls["tsa"]], root=root)
    assert isinstance(made, KeySigner)
    (bundle,) = sign(made, PAYLOADS[:1])
    assert (bundle.entry, clocks(bundle, made)) == (None, [Clock.TIMESTAMP])


def test_without_any_root_timestamps_are_judged_by_that_of_the_public_instance(
    key: KeyPair, simulated: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = trusted_root.of_file(simulated.write_config(tmp_path / "trust.json"))
    asked: list[tuple[trusted_root.Instance, bool]] = []

    def fetch(which: trusted_root.Instance, *, offline: bool) -> object:
        asked.append((which, offline))
        return root

    monkeypatch.setattr(instances, "fetch_root", fetch)
    made = open_signer(key.signer, timestamp_urls=[simulated.urls["tsa"]])
    assert isinstance(made, KeySigner)
    assert len(sign(made)) == 3
    assert asked == [(trusted_root.Instance.PRODUCTION, False)]


def test_staging_is_an_instance_like_any_other(
    key: KeyPair, simulated: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = instances.of_file(simulated.write_config(tmp_path / "trust.json"))
    monkeypatch.setattr(instances, "of_public", {trusted_root.Instance.STAGING: found}.__getitem__)
    made = open_signer(key.signer, staging=True)
    assert isinstance(made, KeySigner)
    assert made.services is not None
    assert made.services.root == found.root
    assert len(sign(made)) == 3


def test_the_addresses_of_an_instance_are_what_sigstore_chose(
    simulated: Simulated, tmp_path: Path
) -> None:
    """The addresses come from undocumented classes of `sigstore`."""
    found = instances.of_file(simulated.write_config(tmp_path / "trust.json"))
    log = f"{simulated.urls['log']}/api/v2/log/entries"
    assert instances.log_service(found) == LogService(log, 2)
    assert instances.timestamp_urls(found) == (f"{simulated.urls['tsa']}/api/v1/timestamp",)


# what goes wrong

Respond = Callable[[Request], Answer]
Fault = Callable[[Request, Respond], Answer]


def silent(_request: Request, _answer: Respond) -> Answer:
    raise NoAnswerError


def says(content: bytes, status: int = 200) -> Fault:
    return lambda _request, _answer: Answer(content, status)


def changed(change: Callable[[dict[str, Any]], None]) -> Fault:
    """Change the answer of the log, which is JSON."""

    def fault(request: Request, answer: Respond) -> Answer:
        value = json.loads(answer(request).content)
        change(value)
        return Answer(json.dumps(value).encode(), 201)

    return fault


ROLES: dict[Service, str] = {"tsa": "the timestamp authority http", "log": "the transparency log"}


@pytest.mark.parametrize("service", ROLES)
@pytest.mark.parametrize(
    ("fault", "reason", "attempts"),
    [
        (silent, "does not answer (ConnectionError)", 4),
        (says(b"out of order", 503), "refused (HTTP 503): out of order", 4),
        (says(b"slow down", 429), "refused (HTTP 429): slow down", 4),
        (says(b"not for keys", 400), "refused (HTTP 400): not for keys", 1),
        (says(b"", 404), "refused (HTTP 404)", 1),
        (says(b"", 302), "refused (HTTP 302)", 1),
        (says(b"what?"), "did not return a", 4),
        (says(b"[]"), "did not return a", 4),
        (says(b"{}"), "did not return a", 4),
        (says(b" " * 9_000_000), "returned more than", 1),
    ],
    ids=["silent", "503", "429", "400", "404", "302", "garbage", "list", "empty", "huge"],
)
def test_a_service_that_does_not_do_its_part_is_named(
    key: KeyPair,
    simulated: Simulated,
    tmp_path: Path,
    service: Service,
    fault: Fault,
    reason: str,
    attempts: int,
) -> None:
    simulated.faults[service] = fault
    error = refused(signer(key, simulated, tmp_path))
    assert reason in error.message
    assert error.message.startswith(ROLES[service])
    assert error.help
    assert simulated.requests[service] == attempts


@pytest.mark.parametrize("service", ROLES)
def test_a_service_that_fails_twice_is_asked_again(
    key: KeyPair, simulated: Simulated, tmp_path: Path, service: Service
) -> None:
    def fault(request: Request, answer: Respond) -> Answer:
        return Answer(b"", 500) if request.number < 3 else answer(request)

    simulated.faults[service] = fault
    assert len(sign(signer(key, simulated, tmp_path), PAYLOADS[:1])) == 1


def test_a_service_that_hangs_ends_the_run_in_time(
    key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    def hang(request: Request, answer: Respond) -> Answer:
        simulated.over.wait(10)
        return answer(request)

    simulated.faults["log"] = hang
    by = signer(key, simulated, tmp_path, timeout=1)
    assert "did not answer within 1 seconds" in refused(by).message
    simulated.over.set()
    simulated.over.clear()


def test_an_authority_that_grants_nothing_is_quoted(
    key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    status = tsp.PKIStatusInfo({"status": "rejection", "status_string": ["no clock"]}).dump()
    simulated.faults["tsa"] = says(bytes([0x30, len(status)]) + status)
    error = refused(signer(key, simulated, tmp_path))
    assert error.message.endswith("refused the request: no clock")


def test_an_authority_that_answers_an_older_request_is_refused(
    key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    tsa = simulated.instance.tsa
    simulated.faults["tsa"] = lambda request, _: Answer(
        tsa.stamp_digest(
            tsp.TimeStampReq.load(request.body)["message_imprint"]["hashed_message"].native, NOW, 7
        )
    )
    error = refused(signer(key, simulated, tmp_path))
    assert "returned the answer to another request" in error.message


def test_a_timestamp_of_something_else_does_not_hold(
    key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    tsa = simulated.instance.tsa
    simulated.faults["tsa"] = lambda request, _: Answer(
        tsa.stamp_digest(b"?" * 32, NOW, tsp.TimeStampReq.load(request.body)["nonce"].native)
    )
    error = refused(signer(key, simulated, tmp_path))
    assert "the signing services returned an invalid answer: its timestamp of" in error.message


def test_a_timestamp_of_somebody_else_does_not_hold(
    key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    def strange(request: Request, _answer: Respond) -> Answer:
        asked = tsp.TimeStampReq.load(request.body)
        digest = asked["message_imprint"]["hashed_message"].native
        return Answer(stranger().tsa.stamp_digest(digest, NOW, asked["nonce"].native))

    simulated.faults["tsa"] = strange
    error = refused(signer(key, simulated, tmp_path))
    assert "was not made by an authority that was trusted then" in error.message
    assert "Nothing was written" in (error.help or "")


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
)
def test_an_entry_that_is_not_of_this_signature_does_not_hold(
    key: KeyPair,
    simulated: Simulated,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    reason: str,
) -> None:
    simulated.faults["log"] = changed(change)
    assert reason in refused(signer(key, simulated, tmp_path)).message


@pytest.mark.parametrize(
    "value",
    [
        {"a": {}, "b": {}},
        {"a": "x"},
        {"a": {"body": "?", "verification": {"inclusionProof": {}}}},
        {"a": {"verification": None}},
    ],
)
def test_an_answer_of_an_older_log_that_is_no_entry_is_refused(
    key: KeyPair, tmp_path: Path, value: object
) -> None:
    with serving(rekor=1) as old:
        old.faults["log"] = says(json.dumps(value).encode())
        assert "did not return a log entry" in refused(signer(key, old, tmp_path)).message


def test_more_timestamps_than_a_bundle_may_hold_are_not_written(
    key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    urls = [f"{simulated.urls['tsa']}/{n}" for n in range(33)]
    error = refused(signer(key, simulated, tmp_path, timestamp_urls=urls))
    assert "the signing services returned an unusable answer: " in error.message


BITS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from(["AA==", "00"])
)
MEMBERS = (
    *("body", "integratedTime", "logID", "logIndex", "verification", "inclusionProof"),
    *("signedEntryTimestamp", "checkpoint", "hashes", "rootHash", "treeSize", "kind"),
    *("logId", "keyId", "kindVersion", "version", "canonicalizedBody"),
)
ANSWERS = st.recursive(
    BITS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=6)
    ),
    max_leaves=20,
)


@given(answer=st.binary(max_size=64) | ANSWERS.map(lambda v: json.dumps(v).encode()))
@pytest.mark.parametrize("version", [1, 2])
def test_whatever_a_log_answers_is_an_entry_or_a_failure(version: int, answer: bytes) -> None:
    log = LogService("http://log.example", version)
    envelope = Envelope(b"{}", "application/vnd.in-toto+json", b"signature")
    with mock.patch.object(services, "_post", return_value=answer):
        with pytest.raises(waiting.TransientError):
            services.entry(log, envelope, ec.generate_private_key(ec.SECP256R1()).public_key())
        with pytest.raises(waiting.TransientError):
            services.timestamp("http://tsa.example", b"signature")


# what is signed already


def trust(key: KeyPair, period: Period | None = None) -> Trust:
    return Trust("tests", (TrustedKey.of_pem(key.public.read_bytes(), "release.pub", period),))


def test_a_signature_with_all_that_is_asked_for_is_not_made_again(
    key: KeyPair, other_key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    plain = open_signer(key.signer)
    by = signer(key, simulated, tmp_path)
    (bundle,) = sign(by, PAYLOADS[:1])
    for declared in (None, trust(key), trust(key, Period(NOW - HOUR, NOW + HOUR))):
        assert by.has_signed(bundle, declared)
    assert plain.has_signed(bundle, None)
    assert not open_signer(other_key.signer).has_signed(bundle, None)


def test_a_signature_without_what_is_asked_for_is_made_again(
    key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    by = signer(key, simulated, tmp_path)
    (bundle,) = sign(by, PAYLOADS[:1])
    assert not by.has_signed(replace(bundle, timestamps=()), None)
    assert not by.has_signed(replace(bundle, entry=None), None)
    stamped = replace(by, services=replace(by.services or Services(by.own.root), log=None))  # type: ignore[arg-type]
    assert stamped.has_signed(replace(bundle, entry=None), None)


def test_a_signature_from_outside_of_the_time_of_the_key_is_made_again(
    key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    by = signer(key, simulated, tmp_path)
    (bundle,) = sign(by, PAYLOADS[:1])
    assert not by.has_signed(bundle, trust(key, Period(NOW + HOUR)))
    plain = open_signer(key.signer)
    assert not plain.has_signed(bundle, trust(key, Period(NOW - HOUR, NOW + HOUR)))


# who is trusted


def test_a_key_that_counts_for_some_time_has_to_say_when_it_signs(
    key: KeyPair, other_key: KeyPair, simulated: Simulated, tmp_path: Path
) -> None:
    dated = trust(key, Period(NOW - HOUR))
    plain, stamped = open_signer(key.signer), signer(key, simulated, tmp_path)
    assert stamped.distrusted(dated) is None
    assert plain.distrusted(trust(key)) is None
    assert "--timestamp-url" in (plain.distrusted(dated) or "")
    twice = replace(dated, keys=(*dated.keys, *trust(key).keys))
    assert plain.distrusted(twice) is None
    assert stamped.distrusted(trust(other_key)) == f"the key {key.private}"


@pytest.mark.parametrize(("version", "dated"), [(1, True), (2, False)])
def test_only_an_older_log_says_when_without_an_authority(
    key: KeyPair, simulated: Simulated, tmp_path: Path, version: int, dated: bool
) -> None:
    by = signer(key, simulated, tmp_path)
    assert by.services is not None
    logged = replace(by.services, timestamp_urls=(), log=LogService("http://log", version))
    assert logged.states_time is dated


# what is asked for


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"timestamp_urls": ["https://tsa.example"]},
            "--timestamp-url cannot be used with keyless",
        ),
        ({"public_key": Path("release.pub")}, "--public-key cannot be used with keyless"),
    ],
)
@pytest.mark.parametrize("uri", [None, "keyless"])
def test_what_is_for_keys_is_refused_for_an_identity(
    uri: str | None, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        open_signer(uri, **options)


def test_an_identity_token_is_refused_for_a_key(key: KeyPair) -> None:
    with pytest.raises(InputError, match="--identity-token needs --signer keyless"):
        open_signer(key.signer, identity_token=Path("token"))


@pytest.mark.parametrize("url", ["timestamp.example", "ftp://tsa.example", "http://", "http://[x"])
def test_an_authority_is_named_by_a_url(url: str) -> None:
    with pytest.raises(InputError, match="not an http or https URL"):
        services.checked_url(url)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(
        InputError, match=r"tsa\.example: the URL contains a user name or a password"
    ) as raised:
        services.checked_url("https://me:hunter2@tsa.example/")
    assert "hunter2" not in f"{raised.value} {raised.value.help}"
