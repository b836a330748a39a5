# SPDX-License-Identifier: Apache-2.0
"""Rollback, freeze and mix-and-match, as a consumer meets them: genuine parts, put together."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provenance import (
    InputError,
    ModelRefusedError,
    Report,
    Require,
    VerifyOptions,
    open_model,
    trust_from_keys,
    verify,
)
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.releases import release_of
from provenance.gate.finding import RowResult, Verdict
from provenance.operations import rollback_state
from provenance.registry.rows import Classification
from tests.support.command import run_cli
from tests.support.keys import KeyPair
from tests.support.models import model
from tests.support.releases import MARCH, MAY, SUMMARY, TwoReleases, sign_again, two_releases
from tests.support.repository import PROJECT, SUFFIX, Repository
from tests.support.verifying import verify_model, verify_release

SUMMARISED = Require(summary=True)
RELEASED_IN_MAY = datetime.date(2026, 5, 4)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, key: KeyPair) -> TwoReleases:
    return two_releases(tmp_path_factory.mktemp("two-releases"), key)


@dataclass(frozen=True)
class Consumer:
    """A consumer's folder, into which files of both releases are put."""

    folder: Path
    published: TwoReleases

    @property
    def state(self) -> Path:
        return self.folder.parent / "seen.json"

    def take(self, month: str, *names: str) -> None:
        for name in names:
            shutil.copy(getattr(self.published, month) / name, self.folder / name)

    def take_row(self, month: str, id: str, *, summary: str = "") -> None:
        """Take the files of a row, and the release summary of another month."""
        self.take(month, *(p.name for p in getattr(self.published, month).glob(f"{id}.*")))
        if summary:
            self.take(summary, SUMMARY)

    def verify(self, id: str, **options: Any) -> Report:
        trust = trust_from_keys([self.published.key.public])
        return verify_model(
            self.folder / f"{id}.onnx", trust, **({"today": RELEASED_IN_MAY} | options)
        )

    def use(self, month: str) -> list[str]:
        """Verify the row `changed` of one release, and remember the release."""
        self.take_row(month, "changed", summary=month)
        return codes(self.verify("changed", state=self.state))


@pytest.fixture
def consumer(tmp_path: Path, published: TwoReleases) -> Consumer:
    (tmp_path / "downloads").mkdir()
    return Consumer(tmp_path / "downloads", published)


@pytest.fixture
def released(repository: Repository) -> Repository:
    """One smoke row, released."""
    repository.add("m")
    return repository.released()


def codes(report: Report) -> list[str]:
    return [f.code for f in report.failing]


# --- mix and match ---


@pytest.mark.parametrize(
    ("id", "month", "summary", "message"),
    [
        *((id, m, m, "") for id in ("changed", "relicensed", "kept") for m in ("march", "may")),
        ("kept", "march", "may", ""),
        ("changed", "march", "may", f"; in the release of {MAY} it is "),
        (
            "relicensed",
            "march",
            "may",
            f"is not a bundle of the release of {MAY}, although the model files",
        ),
        ("changed", "may", "march", f"; in the release of {MARCH} it is "),
    ],
)
def test_a_row_must_be_part_of_the_release(
    consumer: Consumer, id: str, month: str, summary: str, message: str
) -> None:
    consumer.take_row(month, id, summary=summary)
    report = consumer.verify(id, require=SUMMARISED)
    assert codes(report) == (["USE006"] if message else [])
    assert all(message in f.message for f in report.failing)


def test_new_bytes_with_an_old_bundle_are_refused(consumer: Consumer) -> None:
    consumer.take_row("may", "changed", summary="may")
    consumer.take("march", f"changed.onnx{SUFFIX}")
    # The bytes and the sidecar; that the release is another one is a consequence.
    assert codes(consumer.verify("changed", require=SUMMARISED)) == ["SIG605", "ATT704"]


def test_a_row_that_a_release_does_not_have_is_refused(consumer: Consumer, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other", consumer.published.key)
    other.add_sidecar(other.add("new", smoke=False))
    other.released()
    for path in (*other.models.glob("new.*"), *(other.root / "bundles").glob("new.*")):
        shutil.copy(path, consumer.folder)
    consumer.take("may", SUMMARY)
    report = consumer.verify("new", require=SUMMARISED)
    assert codes(report) == ["USE006"]
    assert f"new.onnx is not part of the release of {MAY}" in report.failing[0].message


def test_unsigned_weights_are_not_also_reported_as_another_release(consumer: Consumer) -> None:
    consumer.take_row("may", "kept", summary="may")
    (consumer.folder / "kept.int8.onnx").write_bytes(model(salt=3))
    assert codes(consumer.verify("kept", require=SUMMARISED)) == ["ATT702"]


# --- rollback ---


def test_an_old_release_is_refused_after_a_new_one(consumer: Consumer) -> None:
    for month in ("march", "march", "may", "may"):
        assert consumer.use(month) == []
    assert consumer.use("march") == ["USE008"]
    report = consumer.verify("changed", state=consumer.state)
    message = f"the release of {MARCH} of {PROJECT} is older than the release of {MAY}"
    assert message in report.failing[0].message
    assert consumer.use("may") == []


def test_an_old_summary_over_new_files_is_also_a_rollback(consumer: Consumer) -> None:
    consumer.use("may")
    consumer.take("march", SUMMARY)
    assert codes(consumer.verify("changed", state=consumer.state)) == ["USE006", "USE008"]


def test_a_refused_release_is_not_remembered(consumer: Consumer) -> None:
    consumer.take_row("march", "changed", summary="may")
    assert codes(consumer.verify("changed", state=consumer.state)) != []
    assert not consumer.state.exists()
    assert consumer.use("march") == []


@pytest.mark.parametrize("salt", range(6))  # the digest of some is above, of others below
def test_another_release_of_the_same_time_is_refused(consumer: Consumer, salt: int) -> None:
    consumer.use("may")
    consumer.take_row("march", "changed", summary="march")
    key = consumer.published.key
    sign_again(consumer.folder / SUMMARY, key, timeVerified=MAY, slsaVersion=f"1.{salt}")
    report = consumer.verify("changed", state=consumer.state)
    assert codes(report) == ["USE009"]
    message = f"another release of {PROJECT} with the same time, {MAY}, was used before"
    assert message in report.failing[0].message


def test_a_release_that_becomes_old_while_it_is_read_is_refused(consumer: Consumer) -> None:
    newer = release_of(read_bundle("s", (consumer.published.may / SUMMARY).read_bytes()))
    row = RowResult("m", "m.onnx", 1, Classification.PRODUCTION, "MIT", Verdict.VERIFIED, ())
    with ThreadPoolExecutor(1) as pool:
        with rollback_state.opened(consumer.state) as opened:  # as another process that is judging
            march = pool.submit(consumer.use, "march")
            with pytest.raises(TimeoutError):
                march.result(0.3)
            opened.record(Report("m.onnx", (row,), ()), newer)
        assert march.result(10) == ["USE008"]


def test_a_state_file_serves_a_whole_registry(released: Repository, key: KeyPair) -> None:
    state = released.root.parent / "seen.json"
    options = VerifyOptions(state=state)
    assert codes(verify(released.config, options)) == []
    remembered = state.read_bytes()
    sign_again(released.root / "bundles" / SUMMARY, key, timeVerified=MARCH)
    assert codes(verify(released.config, options)) == ["USE008"]
    assert state.read_bytes() == remembered


@pytest.mark.parametrize(
    ("month", "days", "today", "refused"),
    [
        ("march", 63, "2026-05-04", False),
        ("march", 62, "2026-05-04", True),
        ("march", 1, "2026-05-04", True),
        ("may", 9, "2026-05-03", False),
        ("may", 9, "2026-05-02", True),
    ],
)
def test_a_release_that_is_too_old_or_yet_to_come_is_refused(
    consumer: Consumer, month: str, days: int, today: str, refused: bool
) -> None:
    consumer.take_row(month, "kept", summary=month)
    require = Require(max_age=datetime.timedelta(days=days))
    report = consumer.verify("kept", require=require, today=datetime.date.fromisoformat(today))
    assert codes(report) == (["USE007"] if refused else [])


# --- which summary counts ---


def test_a_summary_that_lies_elsewhere_can_be_named(consumer: Consumer, tmp_path: Path) -> None:
    consumer.take_row("march", "changed")
    found = {m: getattr(consumer.published, m) / SUMMARY for m in ("march", "may")}
    assert codes(consumer.verify("changed", summary=found["may"])) == ["USE006"]
    assert codes(consumer.verify("changed", summary=found["march"])) == []
    with pytest.raises(InputError, match=r"release summary .* does not exist"):
        consumer.verify("changed", summary=tmp_path / "none")


def test_of_several_summaries_one_must_be_named(consumer: Consumer) -> None:
    consumer.take_row("may", "changed", summary="may")
    shutil.copy(consumer.folder / SUMMARY, consumer.folder / "other.json.vsa.sigstore.json")
    with pytest.raises(InputError, match="several release summaries"):
        consumer.verify("changed", require=SUMMARISED)


def test_a_summary_beside_a_bundle_that_lies_elsewhere_is_found(consumer: Consumer) -> None:
    consumer.take("may", "changed.onnx")
    bundle = consumer.published.may / f"changed.onnx{SUFFIX}"
    assert codes(consumer.verify("changed", bundle=bundle, require=SUMMARISED)) == []


def test_a_folder_that_cannot_be_searched_is_an_error(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    consumer.take_row("may", "changed")
    monkeypatch.setattr("provenance.artifacts.limits.FOLDER_ENTRIES", 2)
    with pytest.raises(InputError, match="more than 2 files") as caught:
        consumer.verify("changed", require=SUMMARISED)
    assert caught.value.help == "Name the release summary: --summary FILE"
    monkeypatch.setattr("provenance.operations.named_files.os.listdir", refuse)
    with pytest.raises(InputError, match=r"cannot list .*: Permission denied"):
        consumer.verify("changed", require=SUMMARISED)


def test_a_summary_may_have_two_signers(consumer: Consumer, other_key: KeyPair) -> None:
    consumer.take_row("may", "changed", summary="may")
    second = consumer.folder / "registry.json.vsa.2.sigstore.json"
    shutil.copy(consumer.folder / SUMMARY, second)
    sign_again(second, other_key)
    assert codes(consumer.verify("changed", require=SUMMARISED)) == []


# --- requirements of some rows ---


@pytest.mark.parametrize(
    "options",
    [
        {"require": SUMMARISED},
        {"require": Require(max_age=datetime.timedelta(days=1))},
        {"state": Path("seen.json")},
    ],
)
def test_a_release_cannot_be_required_of_some_rows(
    released: Repository, options: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="covers a whole registry"):
        verify(released.config, VerifyOptions(**options), rows=["m"])


def test_without_requirements_the_report_does_not_mention_them(released: Repository) -> None:
    assert not any("require" in what for what in verify(released.config).not_judged)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--require", "sumary"], "did you mean summary?"),
        (["--require", "x"], "expected one of row, production, no-deferrals, summary"),
        (["--max-age", "90"], "such as 90d; found '90'"),
        (["--max-age", "0d"], "found '0d'"),
        (["--max-age", "99999d"], "found '99999d'"),
        (["--license-allow", "MIT,"], "'' is not the SPDX id of a license"),
    ],
)
def test_an_invalid_requirement_is_an_error(arguments: list[str], message: str) -> None:
    result = run_cli("verify-model", "m.onnx", "--key", "none.pub", *arguments)
    assert result.code == 2
    assert message in result.err


# --- one meaning in every mode ---

Mode = Callable[[Repository, KeyPair, str, Require], Report]


def by_registry(repository: Repository, key: KeyPair, row: str, require: Require) -> Report:
    return verify(repository.config, VerifyOptions(require=require))


def by_row(repository: Repository, key: KeyPair, row: str, require: Require) -> Report:
    return verify(repository.config, VerifyOptions(require=require), rows=[row])


def by_summary(repository: Repository, key: KeyPair, row: str, require: Require) -> Report:
    summary = repository.root / "bundles" / SUMMARY
    trust = trust_from_keys([key.public])
    return verify_release(repository.registry, summary, trust, require=require)


def by_file(repository: Repository, key: KeyPair, row: str, require: Require) -> Report:
    bundle = repository.root / "bundles" / f"{row}.onnx{SUFFIX}"
    trust = trust_from_keys([key.public])
    return verify_model(repository.path(f"{row}.onnx"), trust, bundle=bundle, require=require)


def by_opening(repository: Repository, key: KeyPair, row: str, require: Require) -> Report:
    bundle = repository.root / "bundles" / f"{row}.onnx{SUFFIX}"
    trust = trust_from_keys([key.public])
    path = repository.path(f"{row}.onnx")
    try:
        with open_model(path, trust, bundle=bundle, require=require) as opened:
            return opened.report
    except ModelRefusedError as e:
        return e.report


def sound(repository: Repository) -> None:
    """Add nothing: the production model is the row."""


def smoke(repository: Repository) -> None:
    repository.add("smoke")


def unclaimed(repository: Repository) -> None:
    repository.add_unclaimed("unclaimed")


def unlicensed(repository: Repository) -> None:
    repository.add("unlicensed", license="CC-BY-NC-4.0")


def deferred(repository: Repository) -> None:
    repository.add_sidecar(repository.add("deferred"), sha256="0" * 64)
    repository.defer("SID402", ["deferred"])


def deferred_file(repository: Repository) -> None:
    """Add a deferral of a file that no row has."""
    repository.write("stray.onnx", model(salt=77))
    repository.defer("ART311", ["model/stray.onnx"])


@pytest.mark.parametrize("mode", [by_registry, by_row, by_summary, by_file, by_opening])
@pytest.mark.parametrize(
    ("made", "require", "code"),
    [
        (sound, Require(row=True, production=True, no_deferrals=True, files=True), None),
        (sound, Require(licenses=["MIT"]), None),
        (smoke, Require(row=True, no_deferrals=True, files=True), None),
        (smoke, Require(production=True), "USE002"),
        (unclaimed, Require(row=True, licenses=["MIT"]), None),
        (unclaimed, Require(production=True), "USE002"),
        (unlicensed, Require(licenses=["MIT"]), "USE004"),
        (unlicensed, Require(licenses=["MIT", "CC-BY-NC-4.0"]), None),
        (deferred, Require(no_deferrals=True), "USE003"),
        (deferred, Require(row=True, files=True), None),
        (deferred_file, Require(no_deferrals=True), "USE003"),
    ],
    ids=lambda v: v.__name__ if callable(v) else None,
)
def test_a_requirement_means_the_same_in_every_mode(
    repository: Repository,
    key: KeyPair,
    mode: Mode,
    made: Callable[[Repository], None],
    require: Require,
    code: str | None,
) -> None:
    """A requirement applies to what is verified: a row, or everything in the release."""
    claims = {"training": {"smoke": False}}
    repository.add_sidecar(repository.add("sound", smoke=False), **claims)
    made(repository)
    repository.released()
    row = repository.rows[-1]["id"]
    if made is deferred_file and mode not in (by_registry, by_summary):
        code = None
    found = [(f.code, f.row) for f in mode(repository, key, row, require).failing]
    about = None if made is deferred_file else row
    assert found == ([] if code is None else [(code, about)])


@pytest.mark.parametrize("bundle", ["missing", "of another row", "not of a row", "changed"])
def test_a_release_whose_bundles_bind_no_row_meets_no_requirement_of_rows(
    repository: Repository, key: KeyPair, bundle: str
) -> None:
    for id in "mn":
        repository.add(id)
    folder = repository.released().root / "bundles"
    mine = folder / f"m.onnx{SUFFIX}"
    content = {
        "of another row": (folder / f"n.onnx{SUFFIX}").read_bytes(),
        "not of a row": (folder / SUMMARY).read_bytes(),
        "changed": mine.read_bytes() + b"\n",
    }
    mine.unlink()
    if bundle in content:
        mine.write_bytes(content[bundle])
    report = by_summary(repository, key, "m", Require(row=True))
    found = [(f.code, f.row, Path(f.path).name) for f in report.failing]
    assert ("USE001", "m", mine.name) in found
    assert ("USE001", "n") not in [(f.code, f.row) for f in report.failing]
