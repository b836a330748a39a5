# SPDX-License-Identifier: Apache-2.0
"""Each release says which one it follows, when it was made, and what it is called."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from provenance import InputError
from provenance.artifacts.digest import of_bytes
from provenance.attestations import bundle as bundles
from provenance.attestations.predicates import RELEASE_FIELD
from provenance.attestations.statement import decode
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.releases import Release, ReleaseOrder, release_of
from provenance.operations import release_order
from provenance.operations.release_order import NEW_HISTORY, place_after
from tests.support.command import run_cli
from tests.support.keys import KeyPair
from tests.support.releases import SUMMARY, sign_again
from tests.support.repository import Repository

LONG_AGO = "2026-01-01T00:00:00Z"
TO_COME = "2999-01-01T00:00:00Z"


@pytest.fixture
def repository(tmp_path: Path, key: KeyPair) -> Repository:
    """Released once, long ago."""
    repository = Repository(tmp_path / "tree", key)
    repository.add_sidecar(repository.add("m", smoke=False))
    repository.released(version="v1")
    again(repository, timeVerified=LONG_AGO)
    return repository


def path_of(repository: Repository) -> Path:
    return repository.root / "bundles" / SUMMARY


def again(repository: Repository, key: KeyPair | None = None, **fields: object) -> None:
    signer = key or repository.key
    assert signer is not None
    sign_again(path_of(repository), signer, **fields)


def payload(repository: Repository) -> bytes:
    content = bundles.decode(path_of(repository).read_bytes()).content
    assert isinstance(content, bundles.Envelope)
    return content.payload


def release(repository: Repository) -> Release:
    found = release_of(read_bundle("s", path_of(repository).read_bytes()))
    assert found is not None
    return found


def change(repository: Repository) -> None:
    repository.rows[0]["license"] = "Zlib"
    repository.save()


def test_the_first_release_has_no_predecessor(repository: Repository) -> None:
    assert decode(payload(repository)).predicate[RELEASE_FIELD] == {"version": "v1"}


def test_a_first_release_without_a_version_has_no_release_field(
    tmp_path: Path, key: KeyPair
) -> None:
    repository = Repository(tmp_path / "tree", key)
    repository.add("m")
    report = repository.save().release()
    assert RELEASE_FIELD not in decode(payload(repository)).predicate
    assert NEW_HISTORY not in report.notes


def test_a_release_names_the_statement_that_it_replaces(repository: Repository) -> None:
    before = of_bytes(payload(repository)).sha256
    change(repository)
    report = repository.release(version="v2")
    assert (release(repository).version, release(repository).previous) == ("v2", before)
    assert report.notes == ()


def test_a_version_is_not_handed_down_to_other_files(repository: Repository) -> None:
    change(repository)
    repository.release()
    assert release(repository).version is None


def test_releasing_the_same_again_changes_nothing(repository: Repository) -> None:
    before = path_of(repository).read_bytes()
    for report in (repository.release(), repository.release(version="v1")):
        assert report.written == ()
    assert path_of(repository).read_bytes() == before


def test_the_same_under_another_version_is_another_release(repository: Repository) -> None:
    before = release(repository)
    report = repository.release(version="v1.1")
    assert [Path(p).name for p in report.written] == [SUMMARY]
    assert release(repository).version == "v1.1"
    assert release(repository).previous == before.sha256


def test_after_a_summary_by_a_stranger_a_new_history_starts(
    repository: Repository, other_key: KeyPair
) -> None:
    again(repository, other_key, timeVerified=TO_COME)
    report = repository.release()
    assert report.exit_code == 0
    assert release(repository).previous is None
    assert NEW_HISTORY in report.notes


def test_after_a_summary_that_cannot_be_read_a_new_history_starts(repository: Repository) -> None:
    path_of(repository).write_text("{}")
    report = repository.release()
    assert release(repository).previous is None
    assert NEW_HISTORY in report.notes


@pytest.mark.parametrize("fields", [{"resourceUri": "other.json"}, {"timeVerified": "now"}])
def test_after_a_summary_of_something_else_a_new_history_starts(
    repository: Repository, fields: dict[str, Any]
) -> None:
    again(repository, **fields)
    report = repository.release()
    assert release(repository).previous is None
    assert NEW_HISTORY in report.notes


def test_a_clock_that_is_behind_stops_the_release(repository: Repository) -> None:
    again(repository, timeVerified=TO_COME)
    change(repository)
    before = path_of(repository).read_bytes()
    assert repository.key is not None
    done = run_cli("release", "--signer", repository.key.signer, "-C", str(repository.root))
    assert done.code == 2
    assert (
        f"a release must be later than the release v1 of {TO_COME}, which it replaces" in done.err
    )
    assert "Set the clock." in done.err
    assert path_of(repository).read_bytes() == before


@pytest.mark.parametrize("version", ["", " v1", "v1\n", "v1\x1b[0m", "v\u202e1", "v" * 101])
def test_an_invalid_version_is_refused_before_anything_is_read(
    tmp_path: Path, key: KeyPair, version: str
) -> None:
    repository = Repository(tmp_path / "tree", key)
    repository.add("m")
    with pytest.raises(InputError, match="is not a valid version of a release"):
        repository.save().release(version=version)


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


LAST = Release("registry.json", ReleaseOrder(at("2026-05-04T10:00:00+00:00")), "0" * 64)


class Clock:
    """A clock that only advances in `sleep`."""

    def __init__(self, text: str, *, runs: bool = True) -> None:
        self.now, self.slept, self._runs = at(text), 0.0, runs

    def __call__(self) -> datetime.datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        if self._runs:
            self.now += datetime.timedelta(seconds=seconds)


def test_a_second_release_in_the_same_second_waits_and_notes_it() -> None:
    clock = Clock("2026-05-04T10:00:00.25+00:00")
    place = place_after(LAST, clock=clock, sleep=clock.sleep)
    assert place.time == "2026-05-04T10:00:01Z"
    assert clock.slept == 0.75
    assert "waited for the next second" in place.notes[0]


def test_a_later_release_waits_for_nothing() -> None:
    clock = Clock("2026-05-04T10:00:01+00:00")
    place = place_after(LAST, clock=clock, sleep=clock.sleep)
    assert (place.time, place.notes, clock.slept) == ("2026-05-04T10:00:01Z", (), 0)


@pytest.mark.parametrize("now", ["2026-05-04T09:59:59.9+00:00", "2025-01-01T00:00:00+00:00"])
def test_no_time_is_made_up_where_the_clock_is_behind(now: str) -> None:
    clock = Clock(now)
    with pytest.raises(InputError, match="must be later"):
        place_after(LAST, clock=clock, sleep=clock.sleep)
    assert clock.slept == 0


def test_a_clock_that_does_not_move_is_behind() -> None:
    clock = Clock("2026-05-04T10:00:00+00:00", runs=False)
    with pytest.raises(InputError, match="must be later"):
        place_after(LAST, clock=clock, sleep=clock.sleep)


def test_a_release_without_a_predecessor_is_made_now() -> None:
    clock = Clock("2026-05-04T10:00:00+00:00")
    assert release_order.place_after(None, clock=clock).time == "2026-05-04T10:00:00Z"
