# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts import license_text
from provenance.artifacts.repository import work_tree
from provenance.evidence import collect_licenses
from tests.support.models import model
from tests.support.repository import Repository, codes

HERE = "https://github.com/o/r/blob/main/LICENSE"
OURS = (Path(__file__).parents[2] / "LICENSE").read_text("utf-8")
TAG = "SPDX-License-Identifier: ISC\n"


def with_origin(repository: Repository, url: str = "https://github.com/o/r.git") -> None:
    git = repository.root / ".git"
    git.mkdir(parents=True)
    (git / "config").write_text(f'[remote "origin"]\n\turl = {url}\n')


def license_codes(repository: Repository) -> list[str]:
    return [c for c in codes(repository.save().check()) if c.startswith("LIC")]


def test_the_remote_origin_is_the_repository_unless_the_configuration_says(
    repository: Repository,
) -> None:
    repository.add("m", license_url=HERE)
    repository.write("../LICENSE", TAG)
    assert license_codes(repository) == []
    with_origin(repository)
    assert license_codes(repository) == ["LIC206"]
    config = repository.root / "provenance.toml"
    config.write_text(config.read_text("utf-8").replace('"\n', '"\nrepository = "x/y"\n', 1))
    assert codes(repository.check()) == []


def test_git_is_not_asked_where_no_address_is_of_a_file(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def note(folder: Path, name: str | None) -> Any:
        asked.append(folder)
        return original(folder, name)

    original: Callable[..., Any] = work_tree
    monkeypatch.setattr(collect_licenses, "work_tree", note)
    repository.add("a")
    repository.add("b", license_url="https://www.apache.org/licenses/LICENSE-2.0")
    assert license_codes(repository) == []
    assert asked == []
    for id in "cde":
        repository.add(id, license_url=f"{HERE}-{id}")
    assert license_codes(repository) == []
    assert len(asked) == 1


def test_a_license_file_is_read_once_for_all_rows(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def note(text: str) -> str | None:
        read.append(text)
        return "Apache-2.0"

    monkeypatch.setattr(license_text, "recognised", note)
    with_origin(repository)
    repository.write("../LICENSE", OURS)
    for index, url in enumerate([HERE, HERE, "../LICENSE", HERE.replace("main", "master")]):
        repository.add(f"m{index}", license_url=url, license="Apache-2.0")
    assert license_codes(repository) == []
    assert len(read) == 1


def test_only_between_licenses_that_both_are_known_by_their_texts_a_text_decides(
    repository: Repository,
) -> None:
    repository.write("../LICENSE", OURS)
    row = repository.add("m", license_url="../LICENSE", license="MIT")
    assert license_codes(repository) == ["LIC206"]
    row["license"] = "MIT OR CC-BY-NC-4.0"
    assert license_codes(repository) == []
    repository.write("../LICENSE", f"SPDX-License-Identifier: Apache-2.0\n{OURS}")
    assert license_codes(repository) == ["LIC206"]


def test_a_license_file_of_several_licenses_agrees_with_each(repository: Repository) -> None:
    repository.write("../LICENSE", f"{TAG}SPDX-License-Identifier: MIT\n")
    row = repository.add("m", license_url="../LICENSE", license="MIT")
    assert license_codes(repository) == []
    row["license"] = "Zlib"
    report = repository.save().check()
    assert codes(report) == ["LIC206"]
    assert "LICENSE in this repository is ISC and MIT" in report.failing[0].message
    row["license"] = "Made-Up-1.0"  # which of the two is meant, nobody can say
    (finding,) = repository.save().check().failing
    assert (finding.code, "this repository" in finding.message) == ("LIC204", False)


def test_a_path_is_looked_for_beside_the_registry_and_then_in_the_root(
    repository: Repository,
) -> None:
    repository.write("../LICENSE", TAG)
    repository.add("m", license_url="LICENSE")
    assert license_codes(repository) == ["LIC206"]
    repository.write("LICENSE", "SPDX-License-Identifier: MIT\n")
    assert license_codes(repository) == []


def test_what_leads_to_no_readable_file_leads_nowhere(repository: Repository) -> None:
    repository.add("folder", license_url="../bundles")
    repository.add("link", license_url="link")
    repository.models.mkdir(parents=True, exist_ok=True)
    (repository.models / "link").symlink_to("/etc/hostname")
    assert license_codes(repository) == ["LIC207", "LIC207"]


@pytest.mark.parametrize(
    ("url", "leads"),
    [
        ("https://example.org/LICENSE", True),
        ("HTTPS://example.org/a?b#c", True),
        ("http://[::1]/LICENSE", True),
        ("ftp://example.org/LICENSE", True),
        ("git+https://example.org/o/r@v1#LICENSE", True),
        ("ssh://git@example.org/o/r", True),
        ("doi:10.1000/182", True),
        ("urn:spdx:MIT", True),
        ("https://exämple.org/LICENSE", True),
        ("htps://github.com/x/LICENSE", False),
        ("javascript://x/%0aalert(1)", False),
        ("data:text/plain,MIT", False),
        ("file:///etc/passwd", False),
        ("c:/LICENSE", False),
        ("https://", False),
        ("https://:80/LICENSE", False),
        ("https:LICENSE", False),
        ("doi:", False),
        ("https://exa mple.org/x", False),
        (" https://example.org/x", False),
        ("https://x\r\nevil", False),
        ("https://x\tevil", False),
        ("https://example.org/\u202ex", False),
        ("https://github.com/o/r/blob/main/LICENSE\n", False),
        ("http://[::1/LICENSE", False),
    ],
)
def test_an_address_must_be_one_that_can_be_opened(
    repository: Repository, url: str, leads: bool
) -> None:
    repository.add("m", license_url=url)
    assert license_codes(repository) == ([] if leads else ["LIC207"])


def test_a_license_file_that_is_too_large_is_there_and_says_nothing(
    repository: Repository,
) -> None:
    repository.write("LICENSE", TAG + " " * (256 << 10))
    repository.add("m", license_url="LICENSE")
    assert license_codes(repository) == []


def test_a_license_file_that_is_no_text_says_nothing(repository: Repository) -> None:
    repository.write("LICENSE", b"\xff\xfe\x00" * 100)
    repository.add("m", license_url="LICENSE")
    assert license_codes(repository) == []


def test_licenses_of_the_same_bytes_are_compared_with_the_first(repository: Repository) -> None:
    same = model(salt=99)
    repository.add("a", same, license="MIT OR Apache-2.0")
    repository.add("b", same, license="Apache-2.0")
    repository.add("c", same, license="MIT")
    repository.add("d", same, license="mit")
    assert license_codes(repository) == []
    repository.add("e", same, license="ISC")
    assert license_codes(repository) == ["LIC208"]


def test_two_licenses_that_are_on_no_list_are_compared_as_they_are_written(
    repository: Repository,
) -> None:
    same = model(salt=99)
    repository.add("a", same, license="LicenseRef-ours")
    repository.add("b", same, license="LicenseRef-Ours")
    assert license_codes(repository) == []
    repository.add("c", same, license="LicenseRef-theirs")
    assert license_codes(repository) == ["LIC208"]
