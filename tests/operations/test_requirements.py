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
from provenance.artifacts.registry import Classification
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.releases import release_of
from provenance.gate.finding import RowResult, Verdict
from provenance.operations import rollback_state
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

    def take(self, release: Path, *names: str) -> None:
        self.folder.mkdir(exist_ok=True)
        for name in names:
            shutil.copy(release / name, self.folder / name)

    def take_row(self, release: Path, id: str) -> None:
        found = [p.name for p in release.glob(f"{id}.*")]
        assert found
        self.take(release, *found)

    def verify(self, id: str, **options: Any) -> Report:
        trust = trust_from_keys([self.published.key.public])
        return verify_model(
            self.folder / f"{id}.onnx", trust, **({"today": RELEASED_IN_MAY} | options)
        )


@pytest.fixture
def consumer(tmp_path: Path, published: TwoReleases) -> Consumer:
    return Consumer(tmp_path / "downloads", published)


def said(report: Report) -> list[tuple[str, str]]:
    return [(f.code, f.message) for f in report.failing]


@pytest.mark.parametrize("id", ["changed", "relicensed", "kept"])
@pytest.mark.parametrize("month", ["march", "may"])
def test_the_parts_of_one_release_fit(consumer: Consumer, id: str, month: str) -> None:
    release = getattr(consumer.published, month)
    consumer.take_row(release, id)
    consumer.take(release, SUMMARY)
    assert said(consumer.verify(id, require=SUMMARISED)) == []


def test_a_row_that_did_not_change_is_part_of_both_releases(consumer: Consumer) -> None:
    consumer.take_row(consumer.published.march, "kept")
    consumer.take(consumer.published.may, SUMMARY)
    assert said(consumer.verify("kept", require=SUMMARISED)) == []


def test_an_old_row_in_a_new_release_is_refused(consumer: Consumer) -> None:
    consumer.take_row(consumer.published.march, "changed")
    consumer.take(consumer.published.may, SUMMARY)
    ((code, message),) = said(consumer.verify("changed", require=SUMMARISED))
    assert code == "USE006"
    assert f"; in the release of {MAY} it is " in message


def test_a_row_under_a_former_license_is_refused_in_a_new_release(consumer: Consumer) -> None:
    consumer.take_row(consumer.published.march, "relicensed")
    consumer.take(consumer.published.may, SUMMARY)
    ((code, message),) = said(consumer.verify("relicensed", require=SUMMARISED))
    assert code == "USE006"
    assert f"is not a bundle of the release of {MAY}, although the model files" in message


def test_new_bytes_with_an_old_bundle_are_refused(consumer: Consumer) -> None:
    consumer.take_row(consumer.published.may, "changed")
    consumer.take(consumer.published.march, f"changed.onnx{SUFFIX}")
    consumer.take(consumer.published.may, SUMMARY)
    codes = [code for code, _ in said(consumer.verify("changed", require=SUMMARISED))]
    assert codes == ["SIG605", "ATT704"]  # the bytes and the sidecar; the release is a consequence


def test_an_old_summary_over_new_files_is_refused(consumer: Consumer) -> None:
    consumer.take_row(consumer.published.may, "changed")
    consumer.take(consumer.published.march, SUMMARY)
    ((code, message),) = said(consumer.verify("changed", require=SUMMARISED))
    assert code == "USE006"
    assert f"; in the release of {MARCH} it is " in message


def test_a_row_that_a_release_does_not_have_is_refused(consumer: Consumer, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other", consumer.published.key)
    other.add_sidecar(other.add("new", smoke=False))
    other.released()
    consumer.take(other.models, "new.onnx", "new.json")
    consumer.take(other.root / "bundles", f"new.onnx{SUFFIX}")
    consumer.take(consumer.published.may, SUMMARY)
    ((code, message),) = said(consumer.verify("new", require=SUMMARISED))
    assert code == "USE006"
    assert f"new.onnx is not part of the release of {MAY}" in message


def test_unsigned_weights_are_not_also_reported_as_another_release(consumer: Consumer) -> None:
    consumer.take_row(consumer.published.may, "kept")
    consumer.take(consumer.published.may, SUMMARY)
    (consumer.folder / "kept.int8.onnx").write_bytes(
        (consumer.folder / "kept.onnx").read_bytes()[:-4]
    )
    codes = {code for code, _ in said(consumer.verify("kept", require=SUMMARISED))}
    assert "USE006" not in codes
    assert codes


def test_an_old_release_is_refused_after_a_new_one(consumer: Consumer, tmp_path: Path) -> None:
    state = tmp_path / "seen.json"
    assert said(with_release(consumer, "may", state)) == []
    ((code, message),) = said(with_release(consumer, "march", state))
    assert code == "USE008"
    assert f"the release of {MARCH} of {PROJECT} is older than the release of {MAY}" in message
    assert said(with_release(consumer, "may", state)) == []


def test_releases_may_follow_each_other(consumer: Consumer, tmp_path: Path) -> None:
    state = tmp_path / "seen.json"
    for month in ("march", "march", "may", "may"):
        assert said(with_release(consumer, month, state)) == []


def test_what_was_refused_is_not_remembered(consumer: Consumer, tmp_path: Path) -> None:
    state = tmp_path / "seen.json"
    consumer.take_row(consumer.published.march, "changed")
    consumer.take(consumer.published.may, SUMMARY)
    assert said(consumer.verify("changed", state=state)) != []
    assert not state.exists()
    assert said(with_release(consumer, "march", state)) == []


def test_an_old_summary_over_new_files_is_also_a_rollback(
    consumer: Consumer, tmp_path: Path
) -> None:
    state = tmp_path / "seen.json"
    with_release(consumer, "may", state)
    consumer.take(consumer.published.march, SUMMARY)
    codes = [code for code, _ in said(consumer.verify("changed", state=state))]
    assert codes == ["USE006", "USE008"]


@pytest.mark.parametrize("salt", range(6))  # of each, the digest may be above or below
def test_a_release_of_the_same_moment_is_refused(
    consumer: Consumer, tmp_path: Path, salt: int
) -> None:
    state = tmp_path / "seen.json"
    with_release(consumer, "may", state)
    consumer.take_row(consumer.published.march, "changed")
    consumer.take(consumer.published.march, SUMMARY)
    key = consumer.published.key
    sign_again(consumer.folder / SUMMARY, key, timeVerified=MAY, slsaVersion=f"1.{salt}")
    ((code, message),) = said(consumer.verify("changed", state=state))
    assert code == "USE009"
    assert f"another release of {PROJECT} with the same time, {MAY}, was used before" in message


def test_a_release_that_becomes_old_while_it_is_read_is_refused(
    consumer: Consumer, tmp_path: Path
) -> None:
    state = tmp_path / "seen.json"
    newer = release_of(read_bundle("s", (consumer.published.may / SUMMARY).read_bytes()))
    with ThreadPoolExecutor(1) as pool:
        with rollback_state.opened(state) as opened:  # as another process that is judging
            march = pool.submit(with_release, consumer, "march", state)
            with pytest.raises(TimeoutError):
                march.result(0.3)
            opened.record(said_to_verify(), newer)
        assert [code for code, _ in said(march.result(10))] == ["USE008"]


def said_to_verify() -> Report:
    row = RowResult("m", "m.onnx", 1, Classification.PRODUCTION, "MIT", Verdict.VERIFIED, ())
    return Report("m.onnx", (row,), ())


def with_release(consumer: Consumer, month: str, state: Path) -> Report:
    release = getattr(consumer.published, month)
    consumer.take_row(release, "changed")
    consumer.take(release, SUMMARY)
    return consumer.verify("changed", state=state)


@pytest.mark.parametrize(("days", "refused"), [(63, False), (62, True), (1, True)])
def test_the_day_on_which_a_release_is_too_old(
    consumer: Consumer, days: int, refused: bool
) -> None:
    consumer.take_row(consumer.published.march, "kept")
    consumer.take(consumer.published.march, SUMMARY)  # 63 days before
    require = Require(max_age=datetime.timedelta(days=days))
    codes = [code for code, _ in said(consumer.verify("kept", require=require))]
    assert codes == (["USE007"] if refused else [])


@pytest.mark.parametrize(("today", "refused"), [("2026-05-03", False), ("2026-05-02", True)])
def test_a_release_that_is_yet_to_come_is_refused(
    consumer: Consumer, today: str, refused: bool
) -> None:
    consumer.take_row(consumer.published.may, "kept")
    consumer.take(consumer.published.may, SUMMARY)
    report = consumer.verify(
        "kept",
        require=Require(max_age=datetime.timedelta(days=9)),
        today=datetime.date.fromisoformat(today),
    )
    assert [code for code, _ in said(report)] == (["USE007"] if refused else [])


def test_a_summary_that_lies_elsewhere_is_named(consumer: Consumer) -> None:
    consumer.take_row(consumer.published.march, "changed")
    summary = consumer.published.may / SUMMARY
    assert [c for c, _ in said(consumer.verify("changed", summary=summary))] == ["USE006"]
    fits = consumer.published.march / SUMMARY
    assert said(consumer.verify("changed", summary=fits)) == []


def test_of_two_summaries_one_has_to_be_named(consumer: Consumer) -> None:
    consumer.take_row(consumer.published.may, "changed")
    consumer.take(consumer.published.may, SUMMARY)
    shutil.copy(consumer.folder / SUMMARY, consumer.folder / "other.json.vsa.sigstore.json")
    with pytest.raises(InputError, match="several release summaries"):
        consumer.verify("changed", require=SUMMARISED)


def test_a_summary_beside_the_bundle_is_found_elsewhere_too(consumer: Consumer) -> None:
    consumer.take(consumer.published.may, "changed.onnx")
    bundle = consumer.published.may / f"changed.onnx{SUFFIX}"
    assert said(consumer.verify("changed", bundle=bundle, require=SUMMARISED)) == []


def test_a_summary_that_cannot_be_read_is_no_answer(consumer: Consumer, tmp_path: Path) -> None:
    consumer.take_row(consumer.published.may, "changed")
    with pytest.raises(InputError, match=r"release summary .* does not exist"):
        consumer.verify("changed", summary=tmp_path / "none")


def test_a_folder_of_too_many_files_is_not_searched(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer.take_row(consumer.published.may, "changed")
    monkeypatch.setattr("provenance.artifacts.limits.FOLDER_ENTRIES", 2)
    with pytest.raises(InputError, match="more than 2 files") as caught:
        consumer.verify("changed", require=SUMMARISED)
    assert caught.value.help == "Name the release summary: --summary FILE"


def test_a_folder_that_cannot_be_listed_is_named(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer.take_row(consumer.published.may, "changed")

    def refuse(path: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("provenance.operations.named_files.os.listdir", refuse)
    with pytest.raises(InputError, match=r"cannot list .*: Permission denied"):
        consumer.verify("changed", require=SUMMARISED)


def test_two_signers_of_a_summary_are_counted(consumer: Consumer, other_key: KeyPair) -> None:
    consumer.take_row(consumer.published.may, "changed")
    consumer.take(consumer.published.may, SUMMARY)
    second = consumer.folder / "registry.json.vsa.2.sigstore.json"
    shutil.copy(consumer.folder / SUMMARY, second)
    sign_again(second, other_key)
    assert said(consumer.verify("changed", require=SUMMARISED)) == []


def test_a_state_file_serves_a_whole_registry(tmp_path: Path, key: KeyPair) -> None:
    repository = Repository(tmp_path / "tree", key)
    repository.add("m")
    repository.released()
    state = tmp_path / "seen.json"
    assert said(verify(repository.config, VerifyOptions(state=state))) == []
    remembered = state.read_bytes()
    summary = repository.root / "bundles" / SUMMARY
    sign_again(summary, key, timeVerified=MARCH)
    ((code, _),) = said(verify(repository.config, VerifyOptions(state=state)))
    assert code == "USE008"
    assert state.read_bytes() == remembered


@pytest.mark.parametrize(
    "options",
    [{"require": SUMMARISED}, {"require": Require(max_age=datetime.timedelta(days=1))},
     {"state": Path("seen.json")}],
)  # fmt: skip
def test_requirements_of_a_release_cannot_be_applied_to_some_rows(
    repository: Repository, options: dict[str, Any]
) -> None:
    repository.add("m")
    repository.released()
    with pytest.raises(InputError, match="covers a whole registry"):
        verify(repository.config, VerifyOptions(**options), rows=["m"])


def test_of_some_rows_their_own_can_be_required(repository: Repository) -> None:
    repository.add("m")
    repository.released()
    report = verify(repository.config, VerifyOptions(require=Require(production=True)), rows=["m"])
    assert [code for code, _ in said(report)] == ["USE002"]


def test_without_requirements_the_report_does_not_mention_them(repository: Repository) -> None:
    repository.add("m")
    repository.released()
    assert not any("require" in what for what in verify(repository.config).not_judged)


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
def test_what_cannot_be_required_is_said(arguments: list[str], message: str) -> None:
    result = run_cli("verify-model", "m.onnx", "--key", "none.pub", *arguments)
    assert result.code == 2
    assert message in result.err


# --- one meaning in every mode --------------------------------------------------------------------


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


MODES = (by_registry, by_row, by_summary, by_file, by_opening)
WHOLE = (by_registry, by_summary)
"""Modes in which everything that was released is verified, and not one row of it."""


def sound(repository: Repository) -> None:
    """A production model."""


def smoke(repository: Repository) -> None:
    repository.add("smoke")


def unclaimed(repository: Repository) -> None:
    del repository.add("unclaimed")["smoke"]


def unlicensed(repository: Repository) -> None:
    repository.add("unlicensed", license="CC-BY-NC-4.0")


def excused(repository: Repository) -> None:
    """A row that was released with an exception."""
    repository.add_sidecar(repository.add("excused"), sha256="0" * 64)
    repository.defer("SID402", ["excused"])


def excused_file(repository: Repository) -> None:
    """A release with an exception about a file that no row has."""
    repository.write("stray.onnx", model(salt=77))
    repository.defer("ART311", ["model/stray.onnx"])


@pytest.mark.parametrize("mode", MODES, ids=lambda m: m.__name__)
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
        (excused, Require(no_deferrals=True), "USE003"),
        (excused, Require(row=True, files=True), None),
        (excused_file, Require(no_deferrals=True), "USE003"),
    ],
    ids=lambda v: v.__name__ if callable(v) else None,
)
def test_a_requirement_means_the_same_in_every_mode(
    tmp_path: Path,
    key: KeyPair,
    mode: Callable[[Repository, KeyPair, str, Require], Report],
    made: Callable[[Repository], None],
    require: Require,
    code: str | None,
) -> None:
    """What is required is required of what is verified: a row, or everything in the release."""
    repository = Repository(tmp_path, key)
    claims = {"training": {"smoke": False}}
    repository.add_sidecar(repository.add("sound", smoke=False), **claims)
    made(repository)
    repository.released()
    row = repository.rows[-1]["id"]
    if made is excused_file and mode not in WHOLE:
        code = None
    found = [(f.code, f.row) for f in mode(repository, key, row, require).failing]
    about = None if made is excused_file else row
    assert found == ([] if code is None else [(code, about)])


@pytest.mark.parametrize("bundle", ["missing", "of another row", "not of a row", "changed"])
def test_a_release_whose_bundles_bind_no_row_meets_no_requirement_of_rows(
    tmp_path: Path, key: KeyPair, bundle: str
) -> None:
    repository = Repository(tmp_path, key)
    for id in ("m", "n"):
        repository.add(id)
    repository.released()
    mine, other = (repository.root / "bundles" / f"{id}.onnx{SUFFIX}" for id in ("m", "n"))
    if bundle == "missing":
        mine.unlink()
    elif bundle == "changed":
        mine.write_bytes(mine.read_bytes() + b"\n")
    elif bundle == "of another row":
        shutil.copy(other, mine)
    else:
        shutil.copy(repository.root / "bundles" / SUMMARY, mine)
    report = by_summary(repository, key, "m", Require(row=True))
    found = [(f.code, f.row, Path(f.path).name) for f in report.failing]
    assert ("USE001", "m", mine.name) in found
    assert ("USE001", "n") not in [(f.code, f.row) for f in report.failing]
