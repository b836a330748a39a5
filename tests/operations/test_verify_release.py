# SPDX-License-Identifier: Apache-2.0
"""A whole release, verified by its summary alone: rollback, freeze, mix-and-match, bad names."""

from __future__ import annotations

import datetime
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provenance import (
    InputError,
    Report,
    Require,
    Verdict,
    Verifier,
    trust_from_keys,
    trust_from_options,
)
from provenance.signing import judging
from tests.support.cases import dsse_bundle
from tests.support.command import run_cli
from tests.support.counting import opened_files
from tests.support.keys import KeyPair
from tests.support.models import model
from tests.support.releases import MARCH, MAY, SUMMARY, sign_again
from tests.support.repository import PROJECT, SUFFIX, full_repository, sha256
from tests.support.verifying import verify_release

RELEASED_IN_MAY = datetime.date(2026, 5, 4)


@dataclass(frozen=True)
class Download:
    """Files of a release as a consumer has them: the registry's folder, and bundles beside it."""

    root: Path
    key: KeyPair

    @property
    def registry(self) -> Path:
        return self.root / "model" / "registry.json"

    @property
    def summary(self) -> Path:
        return self.root / "bundles" / SUMMARY

    def model(self, name: str) -> Path:
        return self.root / "model" / name

    def verify(self, **options: Any) -> Report:
        options = {"today": RELEASED_IN_MAY} | options
        summary = options.pop("summary", self.summary)
        trust = options.pop("trust", trust_from_keys([self.key.public]))
        return verify_release(self.registry, summary, trust, **options)

    def says(self, change: Callable[[dict[str, Any]], object]) -> None:
        """The publisher signs another statement."""
        import base64

        envelope = json.loads(self.summary.read_text("utf-8"))["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"]))
        change(statement)
        bundle = dsse_bundle(json.dumps(statement).encode(), self.key)
        self.summary.write_text(json.dumps(bundle), "utf-8")

    def adds(self, name: str, content: bytes) -> None:
        """The publisher's summary names one file more."""
        subject = {"name": name, "digest": {"sha256": sha256(content)}}
        self.says(lambda statement: statement["subject"].append(subject))


@dataclass(frozen=True)
class Published:
    """Two releases of one registry."""

    march: Path
    may: Path
    key: KeyPair

    def fetch(self, release: Path, folder: Path) -> Download:
        shutil.copytree(release, folder)
        return Download(folder, self.key)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, key: KeyPair) -> Published:
    folder = tmp_path_factory.mktemp("releases")
    repository = full_repository(folder / "tree", key)
    repository.released(version="v1")
    summary = repository.root / "bundles" / SUMMARY
    sign_again(summary, key, timeVerified=MARCH)
    shutil.copytree(repository.root, folder / "march")
    content = model(salt=100)
    repository.write("plain.onnx", content)
    repository.rows[0]["sha256"] = sha256(content)
    repository.add_sidecar(repository.rows[0])
    repository.released(version="v2")
    sign_again(summary, key, timeVerified=MAY)
    shutil.copytree(repository.root, folder / "may")
    return Published(folder / "march", folder / "may", key)


@pytest.fixture
def download(published: Published, tmp_path: Path) -> Download:
    """The release of May."""
    return published.fetch(published.may, tmp_path / "download")


def said(report: Report) -> list[tuple[str, str | None, str]]:
    return [(f.code, f.row, f.message) for f in report.failing]


def failed(report: Report) -> list[str]:
    return [r.id for r in report.rows if r.verdict is Verdict.FAILED]


def test_a_whole_release_is_verified_by_one_signature(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []

    def judge(*arguments: Any) -> Any:
        judged.append(arguments)
        return real(*arguments)

    real = judging.judge
    monkeypatch.setattr(judging, "judge", judge)
    report = download.verify()
    assert said(report) == []
    assert [r.id for r in report.rows] == ["plain", "ext", "q", "ens_seed0", "ens_seed1"]
    assert len(judged) == 1
    assert report.release is not None
    assert str(report.release) == f"v2, {MAY}"
    assert {s.signer for r in report.rows for s in r.signatures} == {str(download.key.public)}


def test_every_file_of_the_release_is_opened_once(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = opened_files(monkeypatch)
    download.verify()
    left = {"provenance.toml", "release.pub"}
    files = {p for p in download.root.rglob("*.*") if p.is_file() and p.name not in left}
    assert {path: opened[path] for path in files} == dict.fromkeys(files, 1)


def test_nothing_is_opened_before_the_signer_is_known(
    download: Download, other_key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = trust_from_keys([other_key.public])
    opened = opened_files(monkeypatch)
    report = download.verify(trust=trust)
    assert {p for p in opened if p.is_relative_to(download.root)} == {
        download.root / "bundles" / SUMMARY
    }
    assert [code for code, _, _ in said(report)] == ["SIG604"]
    assert (report.rows, report.release, report.exit_code) == ((), None, 1)


def edit_summary(download: Download) -> None:
    text = download.summary.read_text("utf-8")
    payload = json.loads(text)["dsseEnvelope"]["payload"]
    download.summary.write_text(text.replace(payload, payload.replace("A", "B", 1)), "utf-8")


def sign_message(download: Download) -> None:
    bundle = json.loads(download.summary.read_text("utf-8"))
    del bundle["dsseEnvelope"]
    digest = {"algorithm": "SHA2_256", "digest": "A" * 43 + "="}
    bundle["messageSignature"] = {"messageDigest": digest, "signature": "AAAA"}
    download.summary.write_text(json.dumps(bundle), "utf-8")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (edit_summary, "SIG60"),
        (sign_message, "SIG603"),
        (lambda d: d.summary.write_text("{}", "utf-8"), "SIG602"),
        (lambda d: d.says(lambda s: s.update(predicateType="https://example.org")), "ATT710"),
        (lambda d: sign_again(d.summary, d.key, verificationResult="FAILED"), "ATT710"),
    ],
)
def test_a_summary_that_says_nothing_opens_nothing(
    download: Download, spoil: Callable[[Download], object], code: str
) -> None:
    spoil(download)
    report = download.verify()
    ((found, _, _),) = said(report)
    assert found.startswith(code)
    assert report.rows == ()
    assert report.failing[0].help == "Do not use it. Fetch the release again from the publisher."


def test_two_signers_who_have_to_sign_are_waited_for(
    download: Download, other_key: KeyPair, tmp_path: Path
) -> None:
    trust = tmp_path / "trust.toml"
    trust.write_text(
        "[trust]\nsignatures = 2\n"
        + "".join(f'[[trust.key]]\npath = "{k.public}"\n' for k in (download.key, other_key))
    )
    arguments: list[str | Path] = [
        "verify-release",
        download.registry,
        "--summary",
        download.summary,
        "--trust",
        trust,
    ]
    result = run_cli(*arguments, "--format", "json")
    assert result.codes == [("SIG608", None)]


FILES = [
    ("model/plain.onnx", "plain"),
    ("model/plain.json", "plain"),
    ("model/ext.onnx.data", "ext"),
    ("model/q.int8.onnx", "q"),
    ("model/ens.json", None),
    ("model/ens_seed_flip_PROMOTE.json", None),
    (f"bundles/plain.onnx{SUFFIX}", "plain"),
    (f"bundles/ens_seed0.onnx.provenance{SUFFIX}", None),
]


@pytest.mark.parametrize(("path", "row"), FILES)
def test_a_file_that_changed_is_named(download: Download, path: str, row: str | None) -> None:
    with (download.root / path).open("ab") as stream:
        stream.write(b" ")
    report = download.verify()
    ((code, found, message),) = said(report)
    assert (code, found) == ("ATT710", row)
    assert message.startswith(f"{path} has the digest ")
    assert "; the released digest is " in message
    assert failed(report) == ([row] if row else [])


@pytest.mark.parametrize(("path", "row"), FILES)
def test_a_file_that_is_gone_is_named(download: Download, path: str, row: str | None) -> None:
    (download.root / path).unlink()
    ((code, found, message),) = said(download.verify())
    assert (code, found) == ("ATT710", row)
    assert message == f"{path} was released, but is missing"


def test_what_is_no_file_is_named_and_not_read(download: Download) -> None:
    download.model("plain.onnx").unlink()
    os.mkfifo(download.model("plain.onnx"))
    ((code, row, message),) = said(download.verify())
    assert (code, row) == ("ATT710", "plain")
    assert (
        message
        == "model/plain.onnx was released, but cannot be read: it is a FIFO, not a regular file"
    )


def test_a_link_out_of_the_release_is_not_followed(download: Download, tmp_path: Path) -> None:
    outside = tmp_path / "plain.onnx"
    shutil.move(download.model("plain.onnx"), outside)
    download.model("plain.onnx").symlink_to(outside)
    ((code, _, message),) = said(download.verify())
    assert code == "ATT710"
    assert "cannot be read: it is a link that leaves the repository" in message


def test_a_file_that_cannot_be_read_is_named(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(stream: Any, size: int) -> Any:
        if size == download.model("ens.json").stat().st_size:
            raise OSError(5, "Input/output error")
        return real(stream, size)

    from provenance.artifacts import digest

    real = digest.of_stream
    monkeypatch.setattr(digest, "of_stream", fail)
    ((code, _, message),) = said(download.verify())
    assert code == "ATT710"
    assert message.endswith(
        "model/ens.json was released, but cannot be read: it gives: Input/output error"
    )


def test_another_registry_is_not_read(download: Download) -> None:
    download.registry.write_text('{"models": []}')
    report = download.verify()
    ((code, _, message),) = said(report)
    assert code == "ATT710"
    assert message.startswith("model/registry.json has the digest ")
    assert report.rows == ()


def test_a_registry_is_known_by_the_name_that_it_was_released_with(download: Download) -> None:
    other = download.registry.rename(download.model("other.json"))
    with pytest.raises(InputError, match=r"summary of the registry 'registry\.json', not of 'oth"):
        verify_release(other, download.summary, trust_from_keys([download.key.public]))


@pytest.mark.parametrize("name", ["registry", "summary"])
def test_what_was_named_has_to_be_there(download: Download, name: str) -> None:
    getattr(download, name).unlink()
    with pytest.raises(InputError, match=r"no such file|does not exist"):
        download.verify()


def test_a_folder_is_verified_by_the_summary_in_it_or_directly_below_it(
    download: Download,
) -> None:
    verifier = Verifier(trust_from_keys([download.key.public]), today=RELEASED_IN_MAY)
    for summary in (download.summary, download.root / SUMMARY, download.root / "else" / SUMMARY):
        summary.parent.mkdir(exist_ok=True)
        if summary != download.summary:
            download.summary.rename(summary)
        report = verifier.release(download.root)
        assert (report.exit_code, len(report.rows)) == (
            0,
            len(download.verify(summary=summary).rows),
        )
        summary.rename(download.summary)
    download.model("plain.onnx").unlink()
    report = verifier.release(str(download.root))
    assert [code for code, _, _ in said(report)] == ["ATT710"]


def test_a_registry_file_is_verified_by_the_summary_beside_it(download: Download) -> None:
    beside = download.summary.rename(download.model(SUMMARY))
    verifier = Verifier(trust_from_keys([download.key.public]), today=RELEASED_IN_MAY)
    assert verifier.release(download.registry).exit_code == 0
    beside.unlink()
    with pytest.raises(InputError, match="no release summary found"):
        verifier.release(download.registry)


def test_which_of_several_summaries_counts_is_not_guessed(download: Download) -> None:
    shutil.copy(download.summary, download.model(SUMMARY))
    verifier = Verifier(trust_from_keys([download.key.public]), today=RELEASED_IN_MAY)
    with pytest.raises(InputError, match="several release summaries"):
        verifier.release(download.root)
    assert verifier.release(download.root, summary=download.summary).exit_code == 0


@pytest.mark.parametrize(
    "index", ["../model/registry.json", "/registry.json", "", "a/registry.json"]
)
def test_a_registry_that_is_not_in_the_folder_is_an_error(download: Download, index: str) -> None:
    field = "https://onnx-provenance.dev/fields/registry"
    download.says(lambda statement: statement["predicate"][field].update(index=index))
    with pytest.raises(InputError, match="registry"):
        Verifier(trust_from_keys([download.key.public])).release(download.root / "model" / "..")


def test_an_untrusted_summary_opens_no_registry_in_a_folder(
    download: Download, other_key: KeyPair
) -> None:
    download.registry.unlink()
    report = Verifier(trust_from_keys([other_key.public])).release(download.root)
    assert [code for code, _, _ in said(report)] == ["SIG604"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"onnx": "other.onnx"}, "model/other.onnx"),
        ({"external_data_sha256": {"other.data": "0" * 64}}, "model/other.data"),
        ({"sigstore_bundle": f"../bundles/other{SUFFIX}"}, f"bundles/other{SUFFIX}"),
        ({"sigstore_bundle": "/etc/passwd"}, "/etc/passwd"),
        ({"quant_mode": "static"}, "model/plain.int8.onnx"),
    ],
)
def test_a_row_whose_file_is_not_part_of_the_release_fails(
    download: Download, fields: dict[str, Any], named: str
) -> None:
    registry = json.loads(download.registry.read_text())
    registry["models"][0] |= fields
    download.registry.write_text(json.dumps(registry))
    digest = {"sha256": sha256(download.registry.read_bytes())}
    download.says(lambda statement: statement["subject"][0].update(digest=digest))
    report = download.verify()
    assert said(report) == [("ATT710", "plain", f"{named} is not part of the release")]
    assert failed(report) == ["plain"]


def test_a_row_without_a_model_has_nothing_to_fail(download: Download) -> None:
    registry = json.loads(download.registry.read_text())
    registry["models"].append({"id": "none"})
    download.registry.write_text(json.dumps(registry))
    digest = {"sha256": sha256(download.registry.read_bytes())}
    download.says(lambda statement: statement["subject"][0].update(digest=digest))
    assert download.verify().rows[-1].model_files == ()


@pytest.mark.parametrize("name", ["plain.int8.onnx", "ext.json"])
def test_what_was_put_beside_a_model_fails(download: Download, name: str) -> None:
    download.model(name).write_text("{}")
    ((code, row, message),) = said(download.verify())
    assert (code, row) == ("ATT710", name.partition(".")[0])
    assert message == f"model/{name} is not part of the release"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/passwd", "is an absolute path"),
        ("a\0b", "contains a NUL"),
        ("..\\x", "contains a backslash"),
        ("C:x", "is an absolute path"),
        ("../../../../x", "leaves the repository"),
        ("a/../../../../../x", "leaves the repository"),
    ],
)
def test_a_hostile_name_is_refused(download: Download, name: str, why: str) -> None:
    download.adds(name, b"x")
    ((code, _, message),) = said(download.verify())
    assert code == "ATT710"
    assert why in message


@pytest.mark.parametrize(("name", "at"), [("../../x", "x"), ("../../../x", "../x")])
def test_a_name_may_climb_a_little(download: Download, name: str, at: str) -> None:
    (download.root.parent / at).resolve().write_bytes(b"x")
    download.adds(name, b"x")
    assert said(download.verify()) == []


def test_no_name_climbs_to_the_root_of_the_file_system() -> None:
    from provenance.evidence.collect_release import _root_of

    assert _root_of(Path("/srv/model"), ["../../../x"]) == Path("/srv")
    assert _root_of(Path("/srv"), ["../x"]) == Path("/srv")
    assert _root_of(Path("/srv/a/b"), ["../x", "x", ".."]) == Path("/srv/a")


def test_a_file_is_known_by_any_path_to_it(download: Download) -> None:
    registry = json.loads(download.registry.read_text())
    registry["models"][0]["onnx"] = "./plain.onnx"
    download.registry.write_text(json.dumps(registry))
    digest = {"sha256": sha256(download.registry.read_bytes())}
    download.says(lambda statement: statement["subject"][0].update(digest=digest))
    assert said(download.verify()) == []


# --- what a consumer requires -----------------------------------------------------------------


def test_production_is_required_of_every_row(download: Download) -> None:
    report = download.verify(require=Require(production=True))
    assert [(c, r) for c, r, _ in said(report)] == [
        ("USE002", r) for r in ("ext", "q", "ens_seed0", "ens_seed1")
    ]


def test_a_license_is_required_of_every_row(download: Download) -> None:
    assert said(download.verify(require=Require(licenses=["MIT"]))) == []
    report = download.verify(require=Require(licenses=["Zlib"]))
    assert {c for c, _, _ in said(report)} == {"USE004"}
    assert failed(report) == [r.id for r in report.rows]


@pytest.mark.parametrize(
    ("field", "words"),
    [({"count": 0}, None), ({"count": 2}, "with 2 exceptions"), ({"count": -1}, "unknown"),
     ({"count": False}, "unknown"), ({}, "unknown"), (None, "unknown")],
)  # fmt: skip
def test_exceptions_are_counted_by_the_summary(
    download: Download, field: Any, words: str | None
) -> None:
    sign_again(
        download.summary, download.key, **{"https://onnx-provenance.dev/fields/deferrals": field}
    )
    found = said(download.verify(require=Require(no_deferrals=True)))
    assert [c for c, _, _ in found] == ([] if words is None else ["USE003"])
    assert words is None or words in found[0][2]


def test_everything_that_is_required_of_a_row_is_signed_with_the_registry(
    download: Download,
) -> None:
    assert said(download.verify(require=Require(row=True, summary=True))) == []


# --- rollback, freeze, mix-and-match ----------------------------------------------------------


def test_an_old_summary_over_new_files_is_refused(download: Download, published: Published) -> None:
    found = said(download.verify(summary=published.march / "bundles" / SUMMARY))
    changed = {"model/registry.json", "model/plain.onnx", "model/plain.json"}
    changed.add(f"bundles/plain.onnx{SUFFIX}")
    assert {message.split()[0] for _, _, message in found} >= changed
    assert {code for code, _, _ in found} == {"ATT710"}


def test_a_new_summary_over_old_files_is_refused(published: Published, tmp_path: Path) -> None:
    download = published.fetch(published.march, tmp_path / "old")
    report = download.verify(summary=published.may / "bundles" / SUMMARY)
    assert {code for code, _, _ in said(report)} == {"ATT710"}
    assert report.rows == ()


def test_one_old_file_in_a_new_release_is_refused(download: Download, published: Published) -> None:
    shutil.copy(published.march / "model" / "plain.onnx", download.model("plain.onnx"))
    ((code, row, _),) = said(download.verify())
    assert (code, row) == ("ATT710", "plain")


def test_an_old_release_replayed_whole_is_refused_with_a_state_file(
    download: Download, published: Published, tmp_path: Path
) -> None:
    state = tmp_path / "seen.json"
    old = published.fetch(published.march, tmp_path / "old")
    assert said(old.verify(state=state)) == []
    assert said(download.verify(state=state)) == []
    ((code, _, message),) = said(old.verify(state=state))
    assert code == "USE008"
    assert f"the release v1 of {MARCH} of {PROJECT} is older than the release v2" in message
    assert json.loads(state.read_text())["releases"][PROJECT]["version"] == "v2"


def test_what_does_not_verify_is_not_remembered(download: Download, tmp_path: Path) -> None:
    download.model("plain.onnx").unlink()
    download.verify(state=tmp_path / "seen.json")
    assert not (tmp_path / "seen.json").exists()


@pytest.mark.parametrize(("days", "refused"), [(62, True), (63, False)])
def test_a_frozen_release_is_refused_by_its_age(
    published: Published, tmp_path: Path, days: int, refused: bool
) -> None:
    old = published.fetch(published.march, tmp_path / "old")
    found = said(old.verify(require=Require(max_age=datetime.timedelta(days=days))))
    assert [code for code, _, _ in found] == (["USE007"] if refused else [])


def test_a_release_of_another_history_is_refused(
    download: Download, published: Published, tmp_path: Path
) -> None:
    state = tmp_path / "seen.json"
    fork = published.fetch(published.may, tmp_path / "fork")
    sign_again(fork.summary, fork.key, timeVerified="2026-05-04T11:00:00Z")
    assert said(download.verify(state=state)) == []
    ((code, _, message),) = said(fork.verify(state=state))
    assert code == "USE010"
    assert "both replace the same release" in message


def test_a_release_that_follows_is_used(
    download: Download, published: Published, tmp_path: Path
) -> None:
    state = tmp_path / "seen.json"
    assert said(download.verify(state=state)) == []
    later = published.fetch(published.may, tmp_path / "later")
    last = download.verify().release
    assert last is not None
    follows = {"version": "v3", "previous": {"digest": {"sha256": last.sha256}}}
    sign_again(
        later.summary,
        later.key,
        timeVerified="2026-05-04T11:00:00Z",
        **{"https://onnx-provenance.dev/fields/release": follows},
    )
    assert said(later.verify(state=state)) == []
    assert [code for code, _, _ in said(download.verify(state=state))] == ["USE008"]


# --- the command ------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["human", "json", "sarif", "junit", "github", "markdown"])
def test_the_report_has_every_format(download: Download, format: str) -> None:
    arguments = ["verify-release", "model/registry.json", "--summary", f"bundles/{SUMMARY}"]
    arguments += ["--key", str(download.key.public), "--format", format]
    assert run_cli(*arguments, cwd=download.root).code == 0
    download.model("plain.onnx").unlink()
    result = run_cli(*arguments, cwd=download.root)
    assert result.code == 1
    assert "plain.onnx was released, but is missing" in result.out.replace("&#46;", ".")


def test_trust_in_an_identity_judges_no_key(download: Download) -> None:
    from provenance import TrustedIdentity

    trust = trust_from_options([], TrustedIdentity("https://accounts.example.org", "a@b.org"))
    assert [code for code, _, _ in said(download.verify(trust=trust))] == ["SIG604"]
