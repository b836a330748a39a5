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
    TrustedIdentity,
    Verdict,
    Verifier,
    trust_from_keys,
    trust_from_options,
)
from provenance.artifacts import digest
from provenance.evidence.collect_release import _root_of
from provenance.signing import judging
from tests.support import statements
from tests.support.command import run_cli
from tests.support.counting import opened_files
from tests.support.keys import KeyPair
from tests.support.models import model
from tests.support.releases import MARCH, MAY, SUMMARY, sign_again
from tests.support.repository import PROJECT, SUFFIX, full_repository, sha256
from tests.support.verifying import verify_release

RELEASED_IN_MAY = datetime.date(2026, 5, 4)
FIELDS = "https://onnx-provenance.dev/fields"


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

    @property
    def verifier(self) -> Verifier:
        return Verifier(trust_from_keys([self.key.public]), today=RELEASED_IN_MAY)

    def verify(self, **options: Any) -> Report:
        options = {"today": RELEASED_IN_MAY} | options
        summary = options.pop("summary", self.summary)
        trust = options.pop("trust", trust_from_keys([self.key.public]))
        return verify_release(self.registry, summary, trust, **options)

    def edit_statement(self, change: Callable[[Any], object]) -> None:
        """Have the publisher sign another statement."""
        statements.sign_again(self.summary, self.key, change)

    def edit_registry(self, change: Callable[[list[dict[str, Any]]], object]) -> None:
        """Have the publisher release another registry."""
        registry = json.loads(self.registry.read_text())
        change(registry["models"])
        self.registry.write_text(json.dumps(registry))
        sha = sha256(self.registry.read_bytes())
        self.edit_statement(lambda s: s["subject"][0].update(digest={"sha256": sha}))

    def add_subject(self, name: str) -> None:
        """Have the publisher's summary name one more file, whose content is `x`."""
        subject = {"name": name, "digest": {"sha256": sha256(b"x")}}
        self.edit_statement(lambda s: s["subject"].append(subject))


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


@pytest.fixture
def old(published: Published, tmp_path: Path) -> Download:
    """The release of March."""
    return published.fetch(published.march, tmp_path / "old")


def said(report: Report) -> list[tuple[str, str | None, str]]:
    return [(f.code, f.row, f.message) for f in report.failing]


def codes(report: Report) -> list[str]:
    return [f.code for f in report.failing]


def failed(report: Report) -> list[str]:
    return [r.id for r in report.rows if r.verdict is Verdict.FAILED]


# --- the signature of the summary ---


def test_a_whole_release_is_verified_by_one_signature(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []
    real = judging.judge

    def judge(*arguments: Any) -> Any:
        judged.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(judging, "judge", judge)
    opened = opened_files(monkeypatch)
    report = download.verify()
    assert said(report) == []
    assert [r.id for r in report.rows] == ["plain", "ext", "q", "ens_seed0", "ens_seed1"]
    assert len(judged) == 1
    assert str(report.release) == f"v2, {MAY}"
    assert {s.signer for r in report.rows for s in r.signatures} == {str(download.key.public)}
    left = {"provenance.toml", "release.pub"}
    files = {p for p in download.root.rglob("*.*") if p.is_file() and p.name not in left}
    assert {path: opened[path] for path in files} == dict.fromkeys(files, 1)
    assert said(download.verify(require=Require(row=True, summary=True))) == []


def test_nothing_is_opened_before_the_signer_is_known(
    download: Download, other_key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = trust_from_keys([other_key.public])
    opened = opened_files(monkeypatch)
    report = download.verify(trust=trust)
    assert {p for p in opened if p.is_relative_to(download.root)} == {download.summary}
    assert codes(report) == ["SIG604"]
    assert (report.rows, report.release, report.exit_code) == ((), None, 1)
    identity = TrustedIdentity("https://accounts.example.org", "a@b.org")
    assert codes(download.verify(trust=trust_from_options([], identity))) == ["SIG604"]


def edit_payload(download: Download) -> None:
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
        (edit_payload, "SIG60"),
        (sign_message, "SIG603"),
        (lambda d: d.summary.write_text("{}", "utf-8"), "SIG602"),
        (lambda d: d.edit_statement(lambda s: s.update(predicateType="https://x.org")), "ATT710"),
        (lambda d: sign_again(d.summary, d.key, verificationResult="FAILED"), "ATT710"),
    ],
)
def test_an_invalid_summary_verifies_no_row(
    download: Download, spoil: Callable[[Download], object], code: str
) -> None:
    spoil(download)
    report = download.verify()
    (finding,) = report.failing
    assert finding.code.startswith(code)
    assert report.rows == ()
    assert finding.help == "Do not use it. Fetch the release again from the publisher."


def test_one_of_two_required_signers_is_not_enough(
    download: Download, other_key: KeyPair, tmp_path: Path
) -> None:
    keys = "".join(f'[[trust.key]]\npath = "{k.public}"\n' for k in (download.key, other_key))
    (tmp_path / "trust.toml").write_text(f"[trust]\nsignatures = 2\n{keys}")
    result = run_cli(
        *("verify-release", download.registry, "--summary", download.summary),
        *("--trust", tmp_path / "trust.toml", "--format", "json"),
    )
    assert result.codes == [("SIG608", None)]


# --- files that differ from the release ---


@pytest.mark.parametrize("gone", [False, True], ids=["changed", "gone"])
@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("model/plain.onnx", "plain"),
        ("model/plain.json", "plain"),
        ("model/ext.onnx.data", "ext"),
        ("model/q.int8.onnx", "q"),
        ("model/ens.json", None),
        ("model/ens_seed_flip_PROMOTE.json", None),
        (f"bundles/plain.onnx{SUFFIX}", "plain"),
        (f"bundles/ens_seed0.onnx.provenance{SUFFIX}", None),
    ],
)
def test_a_file_that_changed_or_is_gone_is_reported(
    download: Download, path: str, row: str | None, gone: bool
) -> None:
    file = download.root / path
    if gone:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes() + b" ")
    report = download.verify()
    ((code, found, message),) = said(report)
    assert (code, found) == ("ATT710", row)
    if gone:
        assert message == f"{path} was released, but is missing"
    else:
        assert message.startswith(f"{path} has the digest ")
        assert "; the released digest is " in message
    assert failed(report) == ([row] if row else [])


def replace_by_a_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def move_out_of_the_release(file: Path) -> None:
    file.symlink_to(file.rename(file.parents[2] / "plain.onnx"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (replace_by_a_fifo, "it is a FIFO, not a regular file"),
        (move_out_of_the_release, "it is a link that leaves the repository"),
    ],
)
def test_a_file_that_is_not_regular_is_not_read(
    download: Download, change: Callable[[Path], None], why: str
) -> None:
    change(download.model("plain.onnx"))
    ((code, row, message),) = said(download.verify())
    assert (code, row) == ("ATT710", "plain")
    assert message == f"model/plain.onnx was released, but cannot be read: {why}"


def test_a_file_that_cannot_be_read_is_reported(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = digest.of_stream

    def fail(stream: Any, size: int) -> Any:
        if size == download.model("ens.json").stat().st_size:
            raise OSError(5, "Input/output error")
        return real(stream, size)

    monkeypatch.setattr(digest, "of_stream", fail)
    ((code, _, message),) = said(download.verify())
    assert code == "ATT710"
    cause = "cannot be read: it gives: Input/output error"
    assert message.endswith(f"model/ens.json was released, but {cause}")


@pytest.mark.parametrize("name", ["plain.int8.onnx", "ext.json"])
def test_a_file_that_was_added_beside_a_model_is_reported(download: Download, name: str) -> None:
    download.model(name).write_text("{}")
    row, message = name.partition(".")[0], f"model/{name} is not part of the release"
    assert said(download.verify()) == [("ATT710", row, message)]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"onnx": "other.onnx"}, "model/other.onnx"),
        ({"external_data_sha256": {"other.data": "0" * 64}}, "model/other.data"),
        ({"sigstore_bundle": f"../bundles/other{SUFFIX}"}, f"bundles/other{SUFFIX}"),
        ({"sigstore_bundle": "/etc/passwd"}, "/etc/passwd"),
        ({"quant_mode": "static"}, "model/plain.int8.onnx"),
        ({"onnx": "./plain.onnx"}, None),
    ],
)
def test_a_row_whose_file_is_not_part_of_the_release_fails(
    download: Download, fields: dict[str, Any], named: str | None
) -> None:
    download.edit_registry(lambda rows: rows[0].update(fields))
    report = download.verify()
    found = [("ATT710", "plain", f"{named} is not part of the release")] if named else []
    assert said(report) == found
    assert failed(report) == (["plain"] if named else [])


def test_a_row_without_a_model_has_no_files(download: Download) -> None:
    download.edit_registry(lambda rows: rows.append({"id": "none"}))
    assert download.verify().rows[-1].model_files == ()


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
    download.add_subject(name)
    ((code, _, message),) = said(download.verify())
    assert code == "ATT710"
    assert why in message


@pytest.mark.parametrize(("name", "at"), [("../../x", "x"), ("../../../x", "../x")])
def test_a_name_may_climb_a_little(download: Download, name: str, at: str) -> None:
    (download.root.parent / at).resolve().write_bytes(b"x")
    download.add_subject(name)
    assert said(download.verify()) == []


@pytest.mark.parametrize(
    ("folder", "names", "root"),
    [
        ("/srv/model", ["../../../x"], "/srv"),
        ("/srv", ["../x"], "/srv"),
        ("/srv/a/b", ["../x", "x", ".."], "/srv/a"),
    ],
)
def test_no_name_climbs_to_the_root_of_the_file_system(
    folder: str, names: list[str], root: str
) -> None:
    assert _root_of(Path(folder), names) == Path(root)


# --- which registry and which summary ---


def test_a_registry_must_be_the_released_one(download: Download) -> None:
    other = download.model("other.json")
    shutil.copy(download.registry, other)
    with pytest.raises(InputError, match=r"summary of the registry 'registry\.json', not of 'oth"):
        verify_release(other, download.summary, trust_from_keys([download.key.public]))
    download.registry.write_text('{"models": []}')
    report = download.verify()
    assert codes(report) == ["ATT710"]
    assert report.failing[0].message.startswith("model/registry.json has the digest ")
    assert report.rows == ()


@pytest.mark.parametrize("name", ["registry", "summary"])
def test_a_missing_registry_or_summary_is_an_error(download: Download, name: str) -> None:
    getattr(download, name).unlink()
    with pytest.raises(InputError, match=r"no such file|does not exist"):
        download.verify()


@pytest.mark.parametrize("place", [f"bundles/{SUMMARY}", SUMMARY, f"else/{SUMMARY}"])
def test_a_folder_is_verified_by_the_summary_in_it_or_directly_below_it(
    download: Download, place: str
) -> None:
    summary = download.root / place
    summary.parent.mkdir(exist_ok=True)
    download.summary.rename(summary)
    report = download.verifier.release(download.root)
    assert (report.exit_code, len(report.rows)) == (0, 5)
    download.model("plain.onnx").unlink()
    assert codes(download.verifier.release(str(download.root))) == ["ATT710"]


def test_a_registry_file_is_verified_by_the_summary_beside_it(download: Download) -> None:
    beside = download.summary.rename(download.model(SUMMARY))
    assert download.verifier.release(download.registry).exit_code == 0
    beside.unlink()
    with pytest.raises(InputError, match="no release summary found"):
        download.verifier.release(download.registry)


def test_of_several_summaries_one_must_be_named(download: Download) -> None:
    shutil.copy(download.summary, download.model(SUMMARY))
    with pytest.raises(InputError, match="several release summaries"):
        download.verifier.release(download.root)
    assert download.verifier.release(download.root, summary=download.summary).exit_code == 0


@pytest.mark.parametrize(
    "index", ["../model/registry.json", "/registry.json", "", "a/registry.json"]
)
def test_a_registry_that_is_not_in_the_folder_is_an_error(download: Download, index: str) -> None:
    field = f"{FIELDS}/registry"
    download.edit_statement(lambda s: s["predicate"][field].update(index=index))
    with pytest.raises(InputError, match="registry"):
        download.verifier.release(download.root / "model" / "..")


def test_an_untrusted_summary_opens_no_registry_in_a_folder(
    download: Download, other_key: KeyPair
) -> None:
    download.registry.unlink()
    report = Verifier(trust_from_keys([other_key.public])).release(download.root)
    assert codes(report) == ["SIG604"]


# --- what a consumer requires ---


def test_production_is_required_of_every_row(download: Download) -> None:
    report = download.verify(require=Require(production=True))
    smoke = ("ext", "q", "ens_seed0", "ens_seed1")
    assert [(c, r) for c, r, _ in said(report)] == [("USE002", r) for r in smoke]


def test_a_license_is_required_of_every_row(download: Download) -> None:
    assert said(download.verify(require=Require(licenses=["MIT"]))) == []
    report = download.verify(require=Require(licenses=["Zlib"]))
    assert {*codes(report)} == {"USE004"}
    assert failed(report) == [r.id for r in report.rows]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"count": 0}, None),
        ({"count": 2}, "with 2 exceptions"),
        ({"count": -1}, "unknown"),
        ({"count": False}, "unknown"),
        ({}, "unknown"),
        (None, "unknown"),
    ],
)
def test_the_summary_counts_the_deferrals(
    download: Download, field: Any, words: str | None
) -> None:
    sign_again(download.summary, download.key, **{f"{FIELDS}/deferrals": field})
    report = download.verify(require=Require(no_deferrals=True))
    assert codes(report) == ([] if words is None else ["USE003"])
    assert words is None or words in report.failing[0].message


# --- rollback, freeze, mix-and-match ---


def test_a_summary_of_another_release_is_refused(
    download: Download, old: Download, published: Published
) -> None:
    found = said(download.verify(summary=published.march / "bundles" / SUMMARY))
    changed = {"model/registry.json", "model/plain.onnx", "model/plain.json"}
    changed.add(f"bundles/plain.onnx{SUFFIX}")
    assert {message.split()[0] for _, _, message in found} >= changed
    assert {code for code, _, _ in found} == {"ATT710"}
    report = old.verify(summary=published.may / "bundles" / SUMMARY)
    assert {*codes(report)} == {"ATT710"}
    assert report.rows == ()


def test_one_old_file_in_a_new_release_is_refused(download: Download, published: Published) -> None:
    shutil.copy(published.march / "model" / "plain.onnx", download.model("plain.onnx"))
    ((code, row, _),) = said(download.verify())
    assert (code, row) == ("ATT710", "plain")


def test_an_old_release_is_refused_by_a_state_file(
    download: Download, old: Download, tmp_path: Path
) -> None:
    state = tmp_path / "seen.json"
    assert said(old.verify(state=state)) == []
    assert said(download.verify(state=state)) == []
    ((code, _, message),) = said(old.verify(state=state))
    assert code == "USE008"
    assert f"the release v1 of {MARCH} of {PROJECT} is older than the release v2" in message
    assert json.loads(state.read_text())["releases"][PROJECT]["version"] == "v2"


def test_a_release_that_does_not_verify_is_not_remembered(
    download: Download, tmp_path: Path
) -> None:
    download.model("plain.onnx").unlink()
    download.verify(state=tmp_path / "seen.json")
    assert not (tmp_path / "seen.json").exists()


@pytest.mark.parametrize(("days", "refused"), [(62, True), (63, False)])
def test_a_frozen_release_is_refused_by_its_age(old: Download, days: int, refused: bool) -> None:
    found = codes(old.verify(require=Require(max_age=datetime.timedelta(days=days))))
    assert found == (["USE007"] if refused else [])


@pytest.mark.parametrize("follows", [True, False])
def test_a_later_release_must_follow_the_last_one(
    download: Download, published: Published, tmp_path: Path, follows: bool
) -> None:
    state = tmp_path / "seen.json"
    report = download.verify(state=state)
    assert said(report) == []
    assert report.release is not None
    later = published.fetch(published.may, tmp_path / "later")
    place = {"version": "v3", "previous": {"digest": {"sha256": report.release.sha256}}}
    fields = {f"{FIELDS}/release": place} if follows else {}
    sign_again(later.summary, later.key, timeVerified="2026-05-04T11:00:00Z", **fields)
    report = later.verify(state=state)
    if follows:
        assert said(report) == []
        assert codes(download.verify(state=state)) == ["USE008"]
    else:
        assert codes(report) == ["USE010"]
        assert "both replace the same release" in report.failing[0].message


# --- the command ---


@pytest.mark.parametrize("format", ["human", "json", "sarif", "junit", "github", "markdown"])
def test_the_report_has_every_format(download: Download, format: str) -> None:
    arguments = ["verify-release", "model/registry.json", "--summary", f"bundles/{SUMMARY}"]
    arguments += ["--key", str(download.key.public), "--format", format]
    assert run_cli(*arguments, cwd=download.root).code == 0
    download.model("plain.onnx").unlink()
    result = run_cli(*arguments, cwd=download.root)
    assert result.code == 1
    assert "plain.onnx was released, but is missing" in result.out.replace("&#46;", ".")
