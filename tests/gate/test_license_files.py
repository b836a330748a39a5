# SPDX-License-Identifier: Apache-2.0
"""License files and addresses: which file a row refers to, and what that file says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from provenance.artifacts import license_text
from provenance.artifacts.repository import work_tree
from provenance.evidence import collect_licenses
from tests.support.findings import only
from tests.support.repository import Repository, codes

HERE: Final = "https://github.com/o/r/blob/main/LICENSE"
OURS: Final = (Path(__file__).parents[2] / "LICENSE").read_text("utf-8")
TAG: Final = "SPDX-License-Identifier: ISC\n"


MIT: Final = "SPDX-License-Identifier: MIT\n"


def with_origin(repository: Repository) -> None:
    git = repository.root / ".git"
    git.mkdir(parents=True)
    (git / "config").write_text('[remote "origin"]\n\turl = https://github.com/o/r.git\n')


def license_codes(repository: Repository) -> list[str]:
    return [c for c in codes(repository.save().check()) if c.startswith("LIC")]


@pytest.mark.parametrize(
    ("license", "text", "expected"),
    [
        # Only a text of another known license refutes a license.
        ("MIT", OURS, ["LIC206"]),
        ("MIT OR CC-BY-NC-4.0", OURS, []),
        ("MIT OR CC-BY-NC-4.0", f"SPDX-License-Identifier: Apache-2.0\n{OURS}", ["LIC206"]),
        ("MIT", TAG + MIT, []),
        ("Zlib", TAG + MIT, ["LIC206"]),
        ("MIT", TAG + " " * (256 << 10), []),  # a large file says nothing
        ("MIT", b"\xff\xfe\x00" * 100, []),
    ],
)
def test_license_is_compared_with_its_file(
    repository: Repository, license: str, text: str | bytes, expected: list[str]
) -> None:
    repository.write("LICENSE", text)
    repository.add("m", license_url="LICENSE", license=license)
    assert license_codes(repository) == expected


def test_message_names_all_licenses_of_the_file(repository: Repository) -> None:
    repository.write("../LICENSE", TAG + MIT)
    row = repository.add("m", license_url="../LICENSE", license="Zlib")
    assert "LICENSE in this repository is ISC and MIT" in only(repository.save().check()).message
    row["license"] = "Made-Up-1.0"  # either of them may be meant
    finding = only(repository.save().check())
    assert (finding.code, "this repository" in finding.message) == ("LIC204", False)


def test_remote_origin_is_the_repository_unless_the_configuration_names_one(
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


def test_git_is_asked_once_and_only_about_an_address_of_a_file(
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


def test_license_file_is_read_once_for_all_rows(
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


def test_path_is_relative_to_the_registry_and_then_to_the_root(repository: Repository) -> None:
    repository.write("../LICENSE", TAG)
    repository.add("m", license_url="LICENSE")
    assert license_codes(repository) == ["LIC206"]
    repository.write("LICENSE", MIT)
    assert license_codes(repository) == []


def test_path_must_lead_to_a_readable_file(repository: Repository) -> None:
    repository.add("folder", license_url="../bundles")
    repository.add("link", license_url="link")
    repository.path("link").symlink_to("/etc/hostname")
    assert license_codes(repository) == ["LIC207", "LIC207"]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/LICENSE",
        "HTTPS://example.org/a?b#c",
        "http://[::1]/LICENSE",
        "ftp://example.org/LICENSE",
        "git+https://example.org/o/r@v1#LICENSE",
        "ssh://git@example.org/o/r",
        "doi:10.1000/182",
        "urn:spdx:MIT",
        "https://exämple.org/LICENSE",
    ],
)
def test_address_that_can_be_opened_is_accepted(repository: Repository, url: str) -> None:
    repository.add("m", license_url=url)
    assert license_codes(repository) == []


@pytest.mark.parametrize(
    "url",
    [
        *("htps://github.com/x/LICENSE", "javascript://x/%0aalert(1)", "data:text/plain,MIT"),
        *("file:///etc/passwd", "c:/LICENSE", "https://", "https://:80/LICENSE", "https:LICENSE"),
        *("doi:", "https://exa mple.org/x", " https://example.org/x", "https://x\r\nevil"),
        *("https://x\tevil", "https://example.org/\u202ex", "http://[::1/LICENSE"),
        "https://github.com/o/r/blob/main/LICENSE\n",
    ],
)
def test_address_that_cannot_be_opened_is_reported(repository: Repository, url: str) -> None:
    repository.add("m", license_url=url)
    assert license_codes(repository) == ["LIC207"]
