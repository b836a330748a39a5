# SPDX-License-Identifier: Apache-2.0
"""`verify-model FILE`: a download, its bundle, a key from elsewhere, and no registry.

`tests/cases/consumer.toml` has the plain cases: other bytes, another name, a missing file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cases import message_bundle
from tests.support.command import Result, run_cli
from tests.support.keys import KeyPair
from tests.support.models import model
from tests.support.repository import SUFFIX, Repository, replace_once

REASON = "placeholder weights until the retrain"


@dataclass(frozen=True)
class Downloads:
    """A consumer's folder, and the repository of the publisher."""

    folder: Path
    publisher: Repository
    key: KeyPair

    def bundle(self, name: str) -> Path:
        """A bundle in the repository of the publisher."""
        return self.publisher.root / "bundles" / f"{name}{SUFFIX}"

    def fetch(self, *names: str, bundle: bool = True) -> Path:
        """Fetch files beside the registry and the bundle of the first; return the first."""
        for name in names:
            shutil.copy(self.publisher.path(name), self.folder / name)
        if bundle:
            shutil.copy(self.bundle(names[0]), self.folder)
        return self.folder / names[0]

    def verify(self, *args: str | Path, format: str = "json", trusted: bool = True) -> Result:
        """Run `provenance verify-model ARGS` in the consumer's folder."""
        trust = ("--key", self.key.public) if trusted else ()
        return run_cli("verify-model", *args, *trust, "--format", format, cwd=self.folder)


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory, key: KeyPair) -> Repository:
    """A release with external data, an int8 variant, sidecars, an ensemble and a deferral."""
    repository = Repository(tmp_path_factory.mktemp("publisher"), key)
    repository.add_sidecar(repository.add("plain", smoke=False))
    repository.add_external("ext")
    repository.add_int8("q")
    repository.add_sidecar(repository.add("held"), sha256="0" * 64)
    repository.add_ensemble("ens", 1)
    repository.defer("SID402", ["held"], reason=REASON)
    return repository.released()


@pytest.fixture
def downloads(tmp_path: Path, publisher: Repository, key: KeyPair) -> Downloads:
    (tmp_path / "downloads").mkdir()
    return Downloads(tmp_path / "downloads", publisher, key)


def test_a_file_is_verified_by_a_bundle_that_lies_elsewhere(
    downloads: Downloads, other_key: KeyPair
) -> None:
    downloads.fetch("plain.onnx", "plain.json", bundle=False)
    bundle = ("--bundle", downloads.bundle("plain.onnx"), "--key", other_key.public)
    result = downloads.verify("plain.onnx", *bundle)  # one of the keys is enough
    assert (result.code, result.codes) == (0, [])
    (row,) = result.json["rows"]
    assert (row["id"], row["verdict"], row["classification"]) == ("plain", "verified", "production")
    assert row["signer"] == str(downloads.key.public)


def test_a_bundle_by_an_unknown_key_says_nothing_about_the_row(
    downloads: Downloads, other_key: KeyPair
) -> None:
    downloads.fetch("plain.onnx", "plain.json")
    result = downloads.verify("plain.onnx", "--key", other_key.public, trusted=False)
    assert (result.code, [code for code, _ in result.codes]) == (1, ["SIG604"])
    (row,) = result.json["rows"]
    assert (row["license"], row["classification"], row["signer"]) == (None, None, None)


def test_trust_is_never_taken_from_the_download(downloads: Downloads) -> None:
    downloads.fetch("plain.onnx", "plain.json")
    shutil.copy(downloads.publisher.root / "release.pub", downloads.folder)
    (downloads.folder / "provenance.toml").write_text(
        'registry = "registry.json"\n[[trust.key]]\npath = "release.pub"\n'
    )
    result = downloads.verify("plain.onnx", trusted=False)
    assert (result.code, result.out) == (2, "")
    assert "no trusted signer" in result.err


def change_the_sidecar(folder: Path) -> None:
    replace_once(folder / "plain.json", '"f0"', '"f9"')


def add_a_sidecar(folder: Path) -> None:
    (folder / "ext.json").write_text("{}")


def replace_the_variant(folder: Path) -> None:
    (folder / "q.int8.onnx").write_bytes(model(salt=99))


def add_a_variant(folder: Path) -> None:
    (folder / "plain.int8.onnx").write_bytes(model(salt=99))


@pytest.mark.parametrize(
    ("names", "change", "code"),
    [
        (("plain.onnx", "plain.json"), change_the_sidecar, "ATT704"),
        (("ext.onnx", "ext.onnx.data"), add_a_sidecar, "ATT704"),
        (("q.onnx", "q.int8.onnx"), replace_the_variant, "SIG605"),
        (("plain.onnx", "plain.json"), add_a_variant, "ATT702"),
    ],
)
def test_an_unsigned_file_beside_the_model_is_refused(
    downloads: Downloads, names: tuple[str, ...], change: Callable[[Path], None], code: str
) -> None:
    file = downloads.fetch(*names)
    assert downloads.verify(file).codes == []
    change(downloads.folder)
    result = downloads.verify(file)
    assert (result.code, result.codes) == (1, [(code, file.stem)])


@pytest.mark.parametrize("demand", ["files", "production"])
def test_a_signed_sidecar_can_be_required(downloads: Downloads, demand: str) -> None:
    downloads.fetch("plain.onnx")
    result = downloads.verify("plain.onnx", "--require", demand)
    assert (result.code, result.codes) == (1, [("USE011", "plain")])


@pytest.mark.parametrize("order", [("plain.onnx", "ext.onnx"), ("ext.onnx", "plain.onnx")])
def test_a_refused_file_refuses_the_run(downloads: Downloads, order: tuple[str, str]) -> None:
    downloads.fetch("plain.onnx", "plain.json")
    weights = downloads.fetch("ext.onnx", "ext.onnx.data").with_name("ext.onnx.data")
    result = downloads.verify(*order)
    assert result.code == 0
    verdicts = [(f"{row['id']}.onnx", row["verdict"]) for row in result.json["rows"]]
    assert verdicts == [(name, "verified") for name in order]
    files = {Path(f["path"]).name for row in result.json["rows"] for f in row["model_files"]}
    assert files == {"plain.onnx", "ext.onnx", "ext.onnx.data"}
    weights.unlink()
    result = downloads.verify(*order)
    assert (result.code, result.codes) == (1, [("ART304", "ext")])


def test_the_deferral_of_a_placeholder_is_shown(downloads: Downloads) -> None:
    downloads.fetch("held.onnx")
    result = downloads.verify("held.onnx", format="human")
    assert result.code == 0
    shown = " ".join(result.out.split())
    assert f"deferred SID402: {REASON} (ADR-1105)" in shown
    assert "smoke" in shown


@pytest.mark.parametrize(
    ("model", "document", "code"),
    [
        ("ens_seed0.onnx", "ens_seed0.onnx.provenance", "ATT701"),
        ("ens_seed0.onnx", "registry.json.vsa", "ATT701"),
        ("plain.onnx", "ens_seed0.onnx", "ATT702"),
    ],
)
def test_another_document_of_the_release_does_not_replace_the_bundle(
    downloads: Downloads, model: str, document: str, code: str
) -> None:
    downloads.fetch(model, bundle=False)
    result = downloads.verify(model, "--bundle", downloads.bundle(document))
    assert result.code == 1
    assert code in [code for code, _ in result.codes]


def test_trust_may_be_in_a_file_beside_its_keys(
    downloads: Downloads, tmp_path: Path, other_key: KeyPair
) -> None:
    downloads.fetch("plain.onnx", "plain.json")
    trust = tmp_path / "mine" / "trust.toml"
    trust.parent.mkdir()
    trust.write_text('[[trust.key]]\npath = "publisher.pub"\n')
    shutil.copy(downloads.key.public, trust.with_name("publisher.pub"))
    result = downloads.verify("plain.onnx", "--trust", trust, trusted=False)
    assert (result.code, result.codes) == (0, [])
    assert result.json["trust"]["source"] == str(trust)
    shutil.copy(other_key.public, trust.with_name("publisher.pub"))
    result = downloads.verify("plain.onnx", "--trust", trust, trusted=False)
    assert (result.code, [code for code, _ in result.codes]) == (1, ["SIG604"])
    trust.write_text("")
    result = downloads.verify("plain.onnx", "--trust", trust, trusted=False)
    assert (result.code, result.out) == (2, "")
    assert "trusts no signer" in result.err


def test_a_consumer_is_advised_to_ask_the_publisher(downloads: Downloads) -> None:
    downloads.fetch("plain.onnx", "plain.json").write_bytes(model(salt=99))
    (finding,) = downloads.verify("plain.onnx").json["findings"]
    assert "provenance release" not in finding["help"]
    assert "publisher" in finding["help"]


def test_an_id_that_looks_like_a_file_names_a_row(tmp_path: Path, key: KeyPair) -> None:
    repository = Repository(tmp_path / "named", key)
    for name in ("one.onnx", "two.onnx"):
        repository.add(name, onnx=name)
    repository.released()
    for trust in ((), ("--key", key.public)):
        named = ("verify", "one.onnx", *trust, "--format", "json")
        result = run_cli(*named, cwd=repository.root)
        assert (result.code, [row["id"] for row in result.json["rows"]]) == (0, ["one.onnx"])
        assert result.json["registry"] == "model/registry.json"
    file = str(repository.path("two.onnx"))
    for folder in (repository.root, repository.models):
        result = run_cli("verify", file, cwd=folder)
        assert (result.code, result.out) == (2, "")
        assert f"provenance verify-model {file} --key PUBLISHER.pub" in result.err


@pytest.mark.parametrize("name", ["m.onnx", "registry.json", "weights.tar.gz", "sha256", "m"])
def test_the_command_and_not_the_name_of_a_file_decides_how_it_is_judged(
    tmp_path: Path, key: KeyPair, name: str
) -> None:
    """The file is not a model, and has a signature over its bytes."""
    file, bundle = tmp_path / name, tmp_path / f"{name}{SUFFIX}"
    file.write_bytes(b"{}")
    bundle.write_text(json.dumps(message_bundle(b"{}", key)))
    trust = ("--key", key.public, "--format", "json")
    assert run_cli("verify-blob", file, "--bundle", bundle, *trust).codes == []
    assert run_cli("verify-model", file, *trust).codes == [("ART303", name), ("ATT711", name)]
