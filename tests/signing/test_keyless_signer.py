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
from provenance.signing.judgement import Clock, Judgement, Verdict
from provenance.signing.keyless import instance as instances
from provenance.signing.keyless import token as tokens
from provenance.signing.keyless.signer import KeylessSigner
from provenance.signing.signers import open_signer
from provenance.signing.trust import OF_THIS_RUN, Trust, TrustedIdentity, TrustedWorkflow
from tests.support.sigstore.services import ISSUER, SUBJECT, Answer, Request, Services, serving

Make = Callable[..., KeylessSigner]


def payload(number: int) -> bytes:
    """Return a statement that `sigstore` accepts."""
    return (
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"m%d","digest":'
        b'{"sha256":"%s"}}],"predicateType":"https://example.org/p","predicate":{}}'
        % (number, b"0" * 64)
    )


@pytest.fixture
def make(services: Services, tmp_path: Path) -> Make:
    """Make a signer for an instance, with a token in a file."""

    def made(of: Services = services, **options: float) -> KeylessSigner:
        config = of.write_config(tmp_path / "trust.json")
        (tmp_path / "token").write_text(of.token() + "\n", "utf-8")
        source = tokens.of_file(tmp_path / "token")
        return KeylessSigner(instances.of_file(config), source, **options)  # type: ignore[arg-type]

    return made


def sign(signer: KeylessSigner, count: int = 1) -> list[Bundle]:
    return [decode(b) for b in signer.sign([payload(n) for n in range(count)], lambda: None)]


def judged(bundle: Bundle, signer: KeylessSigner) -> Judgement:
    who = Trust("", identities=(TrustedIdentity(ISSUER, SUBJECT),), root=signer.instance.root)
    return judging.judge(bundle, who, None)


def test_a_bundle_is_of_the_statement_by_the_identity_at_a_time(make: Make) -> None:
    signer = make()
    (bundle,) = sign(signer)
    assert isinstance(bundle.content, Envelope)
    assert bundle.content.payload == payload(0)
    found = judged(bundle, signer)
    assert found.verdict is Verdict.VALID
    assert found.signer is not None
    assert [m.clock for m in found.signer.moments] == [Clock.TIMESTAMP]


@pytest.mark.parametrize("content", [b"", b"the bytes of a file"])
def test_a_bundle_is_of_the_bytes_that_have_a_digest(make: Make, content: bytes) -> None:
    signer = make()
    bundle = decode(signer.sign_digest(hashlib.sha256(content).hexdigest()))
    assert isinstance(bundle.content, MessageSignature)
    sha256 = hashlib.sha256(content).hexdigest()
    assert bundle.content.sha256 == sha256
    assert judging.judge(bundle, signer.own, sha256).verdict is Verdict.VALID
    other = hashlib.sha256(b"other").hexdigest()
    assert judging.judge(bundle, signer.own, other).verdict is Verdict.INVALID


def test_a_log_of_the_first_version_says_when_too(tmp_path: Path, make: Make) -> None:
    with serving(rekor=1) as old:
        signer = make(old)
        (bundle,) = sign(signer)
    found = judged(bundle, signer)
    assert found.signer is not None
    assert [m.clock for m in found.signer.moments] == [Clock.LOG, Clock.TIMESTAMP]


def test_one_certificate_serves_a_run_and_each_document_is_logged_once(
    make: Make, services: Services
) -> None:
    bundles = sign(make(), 30)
    assert [b.content.payload for b in bundles if isinstance(b.content, Envelope)] == [
        payload(n) for n in range(30)
    ]
    assert services.certificates == 1
    assert (services.requests["log"], services.requests["tsa"]) == (30, 30)


def test_each_document_that_is_done_is_told(make: Make) -> None:
    calling_threads: list[threading.Thread] = []
    make().sign(
        [payload(n) for n in range(3)], lambda: calling_threads.append(threading.current_thread())
    )
    assert calling_threads == [threading.main_thread()] * 3


def test_uploads_wait_together_and_not_one_after_the_other(make: Make, services: Services) -> None:
    together = threading.Barrier(8, timeout=10)

    def wait(request: Request, answer: Callable[[Request], Answer]) -> Answer:
        together.wait()
        return answer(request)

    services.faults["log"] = wait
    assert len(sign(make(threads=8), 8)) == 8


def test_no_more_than_so_many_are_asked_at_once(make: Make, services: Services) -> None:
    now = most = 0
    lock = threading.Lock()

    def count(request: Request, answer: Callable[[Request], Answer]) -> Answer:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        found = answer(request)
        with lock:
            now -= 1
        return found

    services.faults["log"] = count
    sign(make(threads=3), 20)
    assert most <= 3


def test_a_certificate_that_is_about_to_expire_is_replaced(make: Make) -> None:
    with serving(lifetime=datetime.timedelta(seconds=100)) as brief:
        signer = make(brief)
        sign(signer)
        sign(signer)
        assert brief.certificates == 2


def test_nothing_to_sign_asks_nobody(make: Make, services: Services) -> None:
    assert make().sign([], lambda: None) == []
    assert not services.requests


def test_who_signs_is_known_once_it_has_signed(make: Make) -> None:
    signer = make()
    stranger = Trust("", identities=(TrustedIdentity(ISSUER, "somebody else"),))
    assert signer.own == Trust(OF_THIS_RUN, root=signer.instance.root)
    assert signer.distrusted(stranger) is None
    sign(signer)
    assert signer.own.identities == (TrustedIdentity(ISSUER, SUBJECT),)
    reason = signer.distrusted(stranger)
    assert reason is not None
    assert reason.startswith(f"{SUBJECT!r}, whose issuer is {ISSUER!r}")
    assert signer.distrusted(replace(stranger, identities=signer.own.identities)) is None


def test_a_workflow_that_is_trusted_is_told_from_an_identity(make: Make) -> None:
    signer = make()
    sign(signer)
    workflow = TrustedWorkflow("lusoris/vmaf", ".github/workflows/x.yml", "refs/tags/*")
    reason = signer.distrusted(Trust("", workflows=(workflow,)))
    assert reason is not None
    assert "not github lusoris/vmaf" in reason


def test_what_it_has_signed_is_known_again_in_another_run(make: Make) -> None:
    (bundle,) = sign(make())
    again = make()
    assert again.has_signed(bundle, None)
    assert again.has_signed(bundle, Trust("", identities=(TrustedIdentity(ISSUER, SUBJECT),)))
    assert not again.has_signed(bundle, Trust("", identities=(TrustedIdentity(ISSUER, "x"),)))
    assert not again.has_signed(replace(bundle, timestamps=()), None)
    assert not again.has_signed(replace(bundle, certificate=None, hint=""), None)


def test_a_token_is_read_again_for_each_certificate(make: Make, tmp_path: Path) -> None:
    with serving(lifetime=datetime.timedelta(seconds=100)) as brief:
        signer = make(brief)
        sign(signer)
        (tmp_path / "token").write_text(brief.token(sub="https://ci.example.org/other"), "utf-8")
        sign(signer)
    assert signer.own.identities == (TrustedIdentity(ISSUER, "https://ci.example.org/other"),)


TOO_OLD = {"iat": 1, "exp": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", "malformed", id="empty"),
        pytest.param("not.a.token", "malformed", id="not a token"),
        pytest.param("e30.W10.e30", "malformed", id="claims that are a list"),
        pytest.param(TOO_OLD, "it expired at 1970-01-01 00:00:02 UTC", id="expired"),
        pytest.param(
            {"exp": "4102444800"}, "'exp': expected a number of seconds, found a string", id="text"
        ),
        pytest.param(
            {"iat": "today"}, "'iat': expected a number of seconds, found a string", id="word"
        ),
        pytest.param(
            {"nbf": "1"}, "'nbf': expected a number of seconds, found a string", id="text of nbf"
        ),
        pytest.param(
            {"exp": True}, "'exp': expected a number of seconds, found a boolean", id="boolean"
        ),
        pytest.param({"exp": None}, "time 'exp' is missing", id="without an end"),
        pytest.param({"exp": 1e300}, "'exp' is out of range", id="after the year 9999"),
        pytest.param({"exp": -1}, "'exp' is out of range", id="negative"),
        pytest.param({"nbf": 4102444800}, "valid only from 2100-01-01", id="not yet valid"),
        pytest.param({"iat": 4102444800}, "valid only from 2100-01-01", id="from the future"),
        pytest.param({"sub": 7}, "'sub' is missing or not a string", id="subject"),
        pytest.param({"aud": "somebody else"}, "not for the audience", id="of another audience"),
        pytest.param({"aud": ["a", "b"]}, "not for the audience", id="of other audiences"),
        pytest.param({"iss": "https://accounts.google.com"}, "email", id="without an e-mail"),
        pytest.param({"federated_claims": 1}, "unexpected claim type", id="federated"),
    ],
)
def test_a_token_that_cannot_be_used_is_refused_before_anything_is_asked(
    services: Services, tmp_path: Path, content: str | dict[str, object], words: str
) -> None:
    text = content if isinstance(content, str) else services.token(**content)  # type: ignore[arg-type]
    (tmp_path / "token").write_text(text, "utf-8")
    config = services.write_config(tmp_path / "trust.json")
    with pytest.raises(UnavailableError, match=words) as caught:
        open_signer("keyless", trust_config=config, identity_token=tmp_path / "token")
    assert "sigstore" in (caught.value.help or "")
    assert not services.requests


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"identity token .*/token: .*does not exist"):
        open_signer("keyless", identity_token=tmp_path / "token")


def test_a_token_for_a_key_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--identity-token needs --signer keyless"):
        open_signer("file:release.key", identity_token=tmp_path / "token")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all tokens and CI services from the environment."""
    for name in (*tokens.VARIABLES, "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("alone")
def test_without_a_token_nobody_signs(services: Services, tmp_path: Path) -> None:
    config = services.write_config(tmp_path / "trust.json")
    with pytest.raises(UnavailableError, match="no signer"):
        open_signer(None, trust_config=config)
    with pytest.raises(UnavailableError, match="no identity token"):
        open_signer("keyless", trust_config=config)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("variable", tokens.VARIABLES)
def test_a_token_in_the_environment_is_enough(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, services.token())
    signer = open_signer(None, trust_config=services.write_config(tmp_path / "trust.json"))
    assert isinstance(signer, KeylessSigner)
    assert len(sign(signer)) == 1


@pytest.mark.usefixtures("alone")
def test_a_job_of_a_ci_signs_as_itself(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GitHub Actions serves tokens at a URL, to clients with the secret of the job.
    secret: list[str | None] = []

    def issue(request: Request, _answer: Callable[[Request], Answer]) -> Answer:
        secret.append(request.headers.get("Authorization"))
        return Answer(b'{"value": "%s"}' % services.token().encode())

    services.faults["oidc"] = issue
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the job's secret")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", services.urls["oidc"] + "/token")
    signer = open_signer(None, trust_config=services.write_config(tmp_path / "trust.json"))
    assert isinstance(signer, KeylessSigner)
    assert judged(sign(signer)[0], signer).verdict is Verdict.VALID
    assert set(secret) == {"bearer the job's secret"}


@pytest.mark.usefixtures("alone")
def test_a_job_without_the_permission_is_told_so(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", raising=False)
    with pytest.raises(UnavailableError, match="insufficient OIDC token permissions") as caught:
        open_signer(None, trust_config=services.write_config(tmp_path / "trust.json"))
    assert "id-token: write" in (caught.value.help or "")


# `sigstore` leaves the socket open on which it waits for the browser.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("alone")
def test_a_person_logs_in_with_a_browser(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def browse(url: str) -> bool:
        def follow() -> None:
            with urllib.request.urlopen(url, timeout=10) as page:  # noqa: S310
                page.read()

        threading.Thread(target=follow, daemon=True).start()
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    config = services.write_config(tmp_path / "trust.json")
    signer = open_signer("keyless", trust_config=config, interactive=True)
    assert isinstance(signer, KeylessSigner)
    assert judged(sign(signer)[0], signer).verdict is Verdict.VALID


@pytest.mark.usefixtures("alone")
def test_a_login_that_fails_says_with_whom(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.faults["oidc"] = lambda _request, _answer: Answer(b"no", 500)
    signer = open_signer(
        "keyless",
        trust_config=services.write_config(tmp_path / "trust.json"),
        interactive=True,
    )
    assert isinstance(signer, KeylessSigner)
    with pytest.raises(UnavailableError, match=f"the login at {services.urls['oidc']}"):
        sign(signer)


def test_a_trusted_root_alone_is_no_instance_to_sign_with(
    services: Services, tmp_path: Path
) -> None:
    root = services.instance.write_root(tmp_path / "root.json")
    with pytest.raises(InputError, match="expected a client trust configuration"):
        instances.of_file(root)
    with pytest.raises(InputError, match=r"trust configuration .*none.json"):
        instances.of_file(tmp_path / "none.json")


def no_signing(value: Any) -> None:
    del value["signingConfig"]


def older_signing(value: Any) -> None:
    value["signingConfig"] = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.1+json"}


def broken_signing(value: Any) -> None:
    value["signingConfig"]["caUrls"][0]["url"] = 7


def trusted_root_alone(value: Any) -> None:
    root = value["trustedRoot"]
    value.clear()
    value.update(root)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_signing, "signingConfig: expected an object, found null"),
        (older_signing, "found 'application/vnd.dev.sigstore.signingconfig.v0.1"),
        (
            broken_signing,
            "cannot sign with this instance: signingConfig.caUrls.0.url cannot be read",
        ),
        (trusted_root_alone, "expected a client trust configuration, found a trusted root"),
        (dict.clear, "expected a client trust configuration, found another document"),
    ],
)
def test_a_trust_configuration_that_is_something_else(
    services: Services, tmp_path: Path, change: Callable[[Any], None], words: str
) -> None:
    path = services.write_config(tmp_path / "trust.json")
    value = json.loads(path.read_text("utf-8"))
    change(value)
    path.write_text(json.dumps(value), "utf-8")
    with pytest.raises(InputError, match=words) as caught:
        instances.of_file(path)
    assert "\n" not in caught.value.message
    assert "validation error" not in caught.value.message
