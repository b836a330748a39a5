# SPDX-License-Identifier: Apache-2.0
"""Signing with an identity: the requests to the services, and the returned bundles."""

from __future__ import annotations

import datetime
import hashlib
import json
import threading
import urllib.request
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.attestations.bundle import Bundle, Envelope, MessageSignature, decode
from provenance.errors import InputError, UnavailableError
from provenance.signing import judging
from provenance.signing.judgement import Clock, Verdict
from provenance.signing.keyless import instance as instances
from provenance.signing.keyless import token as tokens
from provenance.signing.keyless.signer import KeylessSigner
from provenance.signing.signers import open_signer
from provenance.signing.trust import OF_THIS_RUN, Trust, TrustedIdentity, TrustedWorkflow
from tests.support.sigstore.services import ISSUER, SUBJECT, Answer, Request, Services, serving

Make = Callable[..., KeylessSigner]
Respond = Callable[[Request], Answer]

OURS = Trust("", identities=(TrustedIdentity(ISSUER, SUBJECT),))
OTHERS = Trust("", identities=(TrustedIdentity(ISSUER, "another"),))


def payload(number: int) -> bytes:
    """Return a statement that `sigstore` accepts."""
    return (
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"m%d","digest":'
        b'{"sha256":"%s"}}],"predicateType":"https://example.org/p","predicate":{}}'
        % (number, b"0" * 64)
    )


@pytest.fixture
def config(services: Services, tmp_path: Path) -> Path:
    return services.write_config(tmp_path / "trust.json")


@pytest.fixture
def make(services: Services, tmp_path: Path) -> Make:
    """Make a signer for an instance, with a token in a file."""

    def made(of: Services = services, **options: Any) -> KeylessSigner:
        config = of.write_config(tmp_path / "trust.json")
        (tmp_path / "token").write_text(of.token() + "\n", "utf-8")
        source = tokens.of_file(tmp_path / "token")
        return KeylessSigner(instances.of_file(config), source, **options)

    return made


def opened(uri: str | None, **options: Any) -> KeylessSigner:
    signer = open_signer(uri, **options)
    assert isinstance(signer, KeylessSigner)
    return signer


def sign(signer: KeylessSigner, count: int = 1) -> list[Bundle]:
    return [decode(b) for b in signer.sign([payload(n) for n in range(count)], lambda: None)]


def clocks(bundle: Bundle, signer: KeylessSigner) -> list[Clock]:
    """Return the clocks of a valid bundle of the release identity."""
    found = judging.judge(bundle, replace(OURS, root=signer.instance.root), None)
    assert found.verdict is Verdict.VALID, found
    assert found.signer is not None
    return [m.clock for m in found.signer.moments]


# --- bundles -----------------------------------------------------------------------------------


def test_certificate_serves_a_run_and_each_statement_is_logged_once(
    make: Make, services: Services
) -> None:
    threads: list[threading.Thread] = []
    signer, payloads = make(), [payload(n) for n in range(30)]
    made = signer.sign(payloads, lambda: threads.append(threading.current_thread()))
    bundles = [decode(b) for b in made]
    assert [b.content.payload for b in bundles if isinstance(b.content, Envelope)] == payloads
    assert clocks(bundles[0], signer) == [Clock.TIMESTAMP]
    assert services.certificates == 1
    assert (services.requests["log"], services.requests["tsa"]) == (30, 30)
    assert threads == [threading.main_thread()] * 30  # each finished document is reported


@pytest.mark.parametrize("content", [b"", b"the bytes of a file"])
def test_digest_is_signed(make: Make, content: bytes) -> None:
    signer, sha256 = make(), hashlib.sha256(content).hexdigest()
    bundle = decode(signer.sign_digest(sha256))
    assert isinstance(bundle.content, MessageSignature)
    assert bundle.content.sha256 == sha256
    assert judging.judge(bundle, signer.own, sha256).verdict is Verdict.VALID
    other = hashlib.sha256(b"other").hexdigest()
    assert judging.judge(bundle, signer.own, other).verdict is Verdict.INVALID


def test_uploads_run_in_as_many_threads_as_given(make: Make, services: Services) -> None:
    together = threading.Barrier(4, timeout=10)  # passed only once four requests have arrived
    lock, now, most = threading.Lock(), 0, 0

    def count(request: Request, answer: Respond) -> Answer:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait()
        with lock:
            now -= 1
        return answer(request)

    services.faults["log"] = count
    assert len(sign(make(threads=4), 8)) == 8
    assert most <= 4


def test_certificate_that_expires_soon_is_replaced_with_a_new_token(
    make: Make, tmp_path: Path
) -> None:
    with serving(lifetime=datetime.timedelta(seconds=100)) as brief:
        signer = make(brief)
        sign(signer)
        (tmp_path / "token").write_text(brief.token(sub="https://ci.example.org/other"), "utf-8")
        sign(signer)
        assert brief.certificates == 2
    assert signer.own.identities == (TrustedIdentity(ISSUER, "https://ci.example.org/other"),)


def test_signer_without_documents_sends_no_request(make: Make, services: Services) -> None:
    assert make().sign([], lambda: None) == []
    assert not services.requests


def test_signer_knows_its_identity_after_it_has_signed(make: Make) -> None:
    signer = make()
    assert signer.own == Trust(OF_THIS_RUN, root=signer.instance.root)
    assert signer.distrusted(OTHERS) is None
    sign(signer)
    assert signer.own.identities == OURS.identities
    assert signer.distrusted(OURS) is None
    reason = signer.distrusted(OTHERS) or ""
    assert reason.startswith(f"{SUBJECT!r}, whose issuer is {ISSUER!r}")
    workflow = TrustedWorkflow("lusoris/vmaf", ".github/workflows/x.yml", "refs/tags/*")
    assert "not github lusoris/vmaf" in (signer.distrusted(Trust("", workflows=(workflow,))) or "")


def test_complete_signature_is_kept_in_another_run(make: Make) -> None:
    (bundle,) = sign(make())
    again = make()
    assert again.has_signed(bundle, None)
    assert again.has_signed(bundle, OURS)
    assert not again.has_signed(bundle, OTHERS)
    assert not again.has_signed(replace(bundle, timestamps=()), None)
    assert not again.has_signed(replace(bundle, certificate=None, hint=""), None)


# --- identity tokens ---------------------------------------------------------------------------

TOKENS: dict[str, tuple[str | dict[str, object], str]] = {
    "empty": ("", "malformed"),
    "not a token": ("not.a.token", "malformed"),
    "claims that are a list": ("e30.W10.e30", "malformed"),
    "expired": ({"iat": 1, "exp": 2}, "it expired at 1970-01-01 00:00:02 UTC"),
    "exp as a string": ({"exp": "1"}, "'exp': expected a number of seconds, found a string"),
    "iat as a string": ({"iat": "1"}, "'iat': expected a number of seconds, found a string"),
    "nbf as a string": ({"nbf": "1"}, "'nbf': expected a number of seconds, found a string"),
    "exp as a boolean": ({"exp": True}, "'exp': expected a number of seconds, found a boolean"),
    "without an end": ({"exp": None}, "time 'exp' is missing"),
    "after the year 9999": ({"exp": 1e300}, "'exp' is out of range"),
    "negative": ({"exp": -1}, "'exp' is out of range"),
    "not yet valid": ({"nbf": 4102444800}, "valid only from 2100-01-01"),
    "from the future": ({"iat": 4102444800}, "valid only from 2100-01-01"),
    "subject as a number": ({"sub": 7}, "'sub' is missing or not a string"),
    "another audience": ({"aud": "another"}, "not for the audience"),
    "other audiences": ({"aud": ["a", "b"]}, "not for the audience"),
    "without an e-mail": ({"iss": "https://accounts.google.com"}, "email"),
    "federated": ({"federated_claims": 1}, "unexpected claim type"),
}


@pytest.mark.parametrize(("content", "reason"), TOKENS.values(), ids=TOKENS)
def test_unusable_token_is_refused_before_any_request(
    services: Services, config: Path, tmp_path: Path, content: Any, reason: str
) -> None:
    text = content if isinstance(content, str) else services.token(**content)
    (tmp_path / "token").write_text(text, "utf-8")
    with pytest.raises(UnavailableError, match=reason) as caught:
        open_signer("keyless", trust_config=config, identity_token=tmp_path / "token")
    assert "sigstore" in (caught.value.help or "")
    assert not services.requests


def test_missing_token_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"identity token .*/token: .*does not exist"):
        open_signer("keyless", identity_token=tmp_path / "token")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all tokens and CI services from the environment."""
    for name in (*tokens.VARIABLES, "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", raising=False)


@pytest.mark.usefixtures("alone")
def test_signer_needs_a_token(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="no signer"):
        open_signer(None, trust_config=config)
    with pytest.raises(UnavailableError, match="no identity token"):
        open_signer("keyless", trust_config=config)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(UnavailableError, match="insufficient OIDC token permissions") as caught:
        open_signer(None, trust_config=config)
    assert "id-token: write" in (caught.value.help or "")


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("variable", tokens.VARIABLES)
def test_token_in_the_environment_is_used(
    services: Services, config: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, services.token())
    assert len(sign(opened(None, trust_config=config))) == 1


@pytest.mark.usefixtures("alone")
def test_job_of_github_actions_requests_its_token(
    services: Services, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret: list[str | None] = []

    def issue(request: Request, _answer: Respond) -> Answer:
        secret.append(request.headers.get("Authorization"))
        return Answer(b'{"value": "%s"}' % services.token().encode())

    services.faults["oidc"] = issue
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the job's secret")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", services.urls["oidc"] + "/token")
    signer = opened(None, trust_config=config)
    assert clocks(sign(signer)[0], signer)
    assert set(secret) == {"bearer the job's secret"}


# `sigstore` leaves the socket open on which it waits for the browser.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("alone")
def test_person_logs_in_with_a_browser(
    services: Services, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def browse(url: str) -> bool:
        def follow() -> None:
            with urllib.request.urlopen(url, timeout=10) as page:  # noqa: S310
                page.read()

        threading.Thread(target=follow, daemon=True).start()
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    signer = opened("keyless", trust_config=config, interactive=True)
    assert clocks(sign(signer)[0], signer)
    services.faults["oidc"] = lambda _request, _answer: Answer(b"no", 500)
    signer = opened("keyless", trust_config=config, interactive=True)
    with pytest.raises(UnavailableError, match=f"the login at {services.urls['oidc']}"):
        sign(signer)


# --- trust configurations ----------------------------------------------------------------------

OLD = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.1+json"}
CA_URL = "cannot sign with this instance: signingConfig.caUrls.0.url cannot be read"
EXPECTED = "expected a client trust configuration"


def keep_root(config: dict[str, Any]) -> None:
    root = config["trustedRoot"]
    config.clear()
    config.update(root)


CONFIGURATIONS: dict[str, tuple[Callable[[Any], object], str]] = {
    "nothing to sign with": (lambda c: c.pop("signingConfig"), "expected an object, found null"),
    "older": (
        lambda c: c.update(signingConfig=OLD),
        "found 'application/vnd.dev.sigstore.signingc",
    ),
    "broken": (lambda c: c["signingConfig"]["caUrls"][0].update(url=7), CA_URL),
    "trusted root": (keep_root, f"{EXPECTED}, found a trusted root"),
    "empty": (dict.clear, f"{EXPECTED}, found another document"),
}


@pytest.mark.parametrize(("change", "reason"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_invalid_trust_configuration_is_refused(
    config: Path, change: Callable[[Any], object], reason: str
) -> None:
    value = json.loads(config.read_text("utf-8"))
    change(value)
    config.write_text(json.dumps(value), "utf-8")
    with pytest.raises(InputError, match=reason) as caught:
        instances.of_file(config)
    assert "\n" not in caught.value.message
    assert "validation error" not in caught.value.message


def test_missing_trust_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trust configuration .*none.json"):
        instances.of_file(tmp_path / "none.json")
