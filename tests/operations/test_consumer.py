# SPDX-License-Identifier: Apache-2.0
"""`verify-model FILE`: a download, its bundle, a key from elsewhere, and no registry."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cases import message_bundle
from tests.support.command import Result, run_cli
from tests.support.keys import KeyPair
from tests.support.models import data, model
from tests.support.repository import SUFFIX, Repository

REASON = "placeholder weights until the retrain"


@dataclass(frozen=True)
class Downloads:
    """A consumer's folder, and where the publisher keeps what can be fetched."""

    folder: Path
    publisher: Repository
    key: KeyPair

    def fetch(self, *names: str) -> Path:
        """Fetch files beside the registry; the first is returned."""
        for name in names:
            shutil.copy(self.publisher.path(name), self.folder / name)
        return self.folder / names[0]

    def bundle(self, name: str) -> Path:
        """A bundle at the publisher's."""
        return self.publisher.root / "bundles" / f"{name}{SUFFIX}"

    def fetch_with_bundle(self, *names: str) -> Path:
        """Fetch files, and the bundle of the first beside them."""
        shutil.copy(self.bundle(names[0]), self.folder)
        return self.fetch(*names)

    def verify(self, *args: str | Path, format: str = "json", trusted: bool = True) -> Result:
        """`provenance verify-model ARGS` in the consumer's folder, with the publisher's key."""
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
    folder = tmp_path / "downloads"
    folder.mkdir()
    return Downloads(folder, publisher, key)


def test_a_file_verifies_by_the_bundle_beside_it(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json")
    result = downloads.verify("plain.onnx")
    assert (result.code, result.codes) == (0, [])
    (row,) = result.json["rows"]
    assert (row["id"], row["verdict"], row["classification"]) == ("plain", "verified", "production")
    assert row["signer"] == str(downloads.key.public)


def test_a_file_verifies_by_a_bundle_that_lies_elsewhere(downloads: Downloads) -> None:
    downloads.fetch("plain.onnx", "plain.json")
    result = downloads.verify("plain.onnx", "--bundle", downloads.bundle("plain.onnx"))
    assert (result.code, result.codes) == (0, [])


def test_a_file_without_a_bundle_is_not_judged(downloads: Downloads) -> None:
    downloads.fetch("plain.onnx")
    result = downloads.verify("plain.onnx")
    assert (result.code, result.out) == (2, "")
    assert f"plain.onnx{SUFFIX}" in result.err


def test_whose_signature_counts_is_never_taken_from_the_download(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json")
    shutil.copy(downloads.publisher.root / "release.pub", downloads.folder)
    (downloads.folder / "provenance.toml").write_text(
        'registry = "registry.json"\n[[trust.key]]\npath = "release.pub"\n'
    )
    result = downloads.verify("plain.onnx", trusted=False)
    assert (result.code, result.out) == (2, "")
    assert "no trusted signer" in result.err


@pytest.fixture
def named_as_files(tmp_path: Path, key: KeyPair) -> Repository:
    """A registry whose ids are the names of the models."""
    repository = Repository(tmp_path / "named", key)
    for name in ("one.onnx", "two.onnx"):
        repository.add(name, onnx=name)
    return repository.released()


def test_a_row_whose_id_looks_like_a_file_is_a_row(
    named_as_files: Repository, key: KeyPair
) -> None:
    for trust in ((), ("--key", key.public)):
        named = ("verify", "one.onnx", *trust, "--format", "json")
        result = run_cli(*named, cwd=named_as_files.root)
        assert (result.code, [row["id"] for row in result.json["rows"]]) == (0, ["one.onnx"])
        assert result.json["registry"] == "model/registry.json"


@pytest.mark.parametrize("folder", [".", "model"])
def test_a_file_that_is_no_row_is_sent_to_the_command_for_models(
    named_as_files: Repository, folder: str
) -> None:
    file = str(named_as_files.path("two.onnx"))
    result = run_cli("verify", file, cwd=named_as_files.root / folder)
    assert (result.code, result.out) == (2, "")
    assert f"provenance verify-model {file} --key PUBLISHER.pub" in result.err


@pytest.mark.parametrize("name", ["m.onnx", "registry.json", "weights.tar.gz", "sha256", "m"])
def test_the_name_of_a_file_does_not_decide_how_it_is_judged(
    tmp_path: Path, key: KeyPair, name: str
) -> None:
    """A file that is no model, with a signature over its bytes, and with another beside it."""
    file, bundle = tmp_path / name, tmp_path / f"{name}{SUFFIX}"
    file.write_bytes(b"{}")
    bundle.write_text(json.dumps(message_bundle(b"{}", key)))
    trust = ("--key", key.public, "--format", "json")
    assert run_cli("verify-blob", file, "--bundle", bundle, *trust).codes == []
    assert run_cli("verify-model", file, *trust).codes == [("ART303", name), ("ATT711", name)]


def test_a_bundle_by_a_key_that_was_not_given_does_not_count(
    downloads: Downloads, other_key: KeyPair
) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json")
    result = downloads.verify("plain.onnx", "--key", other_key.public, trusted=False)
    assert (result.code, [code for code, _ in result.codes]) == (1, ["SIG604"])
    (row,) = result.json["rows"]
    assert (row["license"], row["classification"], row["signer"]) == (None, None, None)


def test_one_of_several_keys_is_enough(downloads: Downloads, other_key: KeyPair) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json")
    assert downloads.verify("plain.onnx", "--key", other_key.public).code == 0


def test_a_renamed_file_is_not_the_one_that_was_signed(downloads: Downloads) -> None:
    downloads.fetch("plain.onnx").rename(downloads.folder / "better.onnx")
    result = downloads.verify("better.onnx", "--bundle", downloads.bundle("plain.onnx"))
    assert result.code == 1
    assert ("SIG606", "plain") in result.codes


def test_other_bytes_under_the_signed_name_are_refused(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json").write_bytes(model(salt=99))
    result = downloads.verify("plain.onnx")
    assert (result.code, result.codes) == (1, [("SIG605", "plain")])


def test_a_file_with_its_weights_verifies(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("ext.onnx", "ext.onnx.data")
    result = downloads.verify("ext.onnx")
    assert (result.code, result.codes) == (0, [])
    (row,) = result.json["rows"]
    assert [Path(f["path"]).name for f in row["model_files"]] == ["ext.onnx", "ext.onnx.data"]


def test_other_weights_are_refused(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("ext.onnx", "ext.onnx.data")
    (downloads.folder / "ext.onnx.data").write_bytes(data(24, salt=99))
    result = downloads.verify("ext.onnx")
    assert (result.code, result.codes) == (1, [("SIG605", "ext")])
    (finding,) = result.json["findings"]
    assert finding["path"] == "ext.onnx.data"


def test_missing_weights_are_missed(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("ext.onnx")
    result = downloads.verify("ext.onnx")
    assert (result.code, result.codes) == (1, [("ART304", "ext")])


def test_a_changed_sidecar_beside_the_file_is_refused(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json")
    sidecar = downloads.folder / "plain.json"
    sidecar.write_text(sidecar.read_text().replace("f0", "f1"))
    result = downloads.verify("plain.onnx")
    assert (result.code, result.codes) == (1, [("ATT704", "plain")])


def test_an_unsigned_sidecar_beside_the_file_is_refused(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("ext.onnx", "ext.onnx.data")
    (downloads.folder / "ext.json").write_text("{}")
    result = downloads.verify("ext.onnx")
    assert (result.code, result.codes) == (1, [("ATT704", "ext")])


def test_a_consumer_is_warned_that_a_signed_sidecar_is_missing(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("plain.onnx")
    result = downloads.verify("plain.onnx")
    assert (result.code, result.codes) == (0, [("ATT713", "plain")])


@pytest.mark.parametrize("demand", ["files", "production"])
def test_a_signed_sidecar_can_be_required(downloads: Downloads, demand: str) -> None:
    downloads.fetch_with_bundle("plain.onnx")
    result = downloads.verify("plain.onnx", "--require", demand)
    assert (result.code, result.codes) == (1, [("USE011", "plain")])


def test_an_int8_variant_beside_the_file_is_verified_with_it(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("q.onnx", "q.int8.onnx")
    (downloads.folder / "q.int8.onnx").write_bytes(model(salt=99))
    result = downloads.verify("q.onnx")
    assert (result.code, result.codes) == (1, [("SIG605", "q")])


def test_an_unsigned_int8_variant_is_refused(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json")
    (downloads.folder / "plain.int8.onnx").write_bytes(model(salt=99))
    result = downloads.verify("plain.onnx")
    assert (result.code, result.codes) == (1, [("ATT702", "plain")])


def test_two_files_are_judged_at_once(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json")
    downloads.fetch_with_bundle("ext.onnx", "ext.onnx.data")
    result = downloads.verify("plain.onnx", "ext.onnx")
    assert result.code == 0
    found = [(r["id"], r["verdict"]) for r in result.json["rows"]]
    assert found == [("plain", "verified"), ("ext", "verified")]


@pytest.mark.parametrize("order", [("plain.onnx", "ext.onnx"), ("ext.onnx", "plain.onnx")])
def test_one_refused_file_of_two_refuses_the_run(
    downloads: Downloads, order: tuple[str, str]
) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json")
    downloads.fetch_with_bundle("ext.onnx")
    result = downloads.verify(*order)
    assert (result.code, result.codes) == (1, [("ART304", "ext")])


def test_the_deferral_of_a_placeholder_is_shown(downloads: Downloads) -> None:
    downloads.fetch_with_bundle("held.onnx")
    result = downloads.verify("held.onnx", format="human")
    assert result.code == 0
    shown = " ".join(result.out.split())
    assert f"deferred SID402: {REASON} (ADR-1105)" in shown
    assert "smoke" in shown


@pytest.mark.parametrize("document", ["ens_seed0.onnx.provenance", "registry.json.vsa"])
def test_another_document_of_the_release_does_not_stand_in_for_the_bundle(
    downloads: Downloads, document: str
) -> None:
    downloads.fetch("ens_seed0.onnx")
    result = downloads.verify("ens_seed0.onnx", "--bundle", downloads.bundle(document))
    assert result.code == 1
    assert [code for code, _ in result.codes] == ["ATT701"]


def test_the_bundle_of_another_model_does_not_stand_in(downloads: Downloads) -> None:
    downloads.fetch("plain.onnx")
    result = downloads.verify("plain.onnx", "--bundle", downloads.bundle("ens_seed0.onnx"))
    assert result.code == 1
    assert {code for code, _ in result.codes} >= {"ATT702"}


def test_trust_may_be_kept_in_a_file_whose_keys_lie_beside_it(
    downloads: Downloads, tmp_path: Path
) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json")
    (tmp_path / "mine").mkdir()
    shutil.copy(downloads.key.public, tmp_path / "mine" / "publisher.pub")
    trust = tmp_path / "mine" / "trust.toml"
    trust.write_text('[[trust.key]]\npath = "publisher.pub"\n')
    result = downloads.verify("plain.onnx", "--trust", trust, trusted=False)
    assert (result.code, result.codes) == (0, [])
    assert result.json["trust"]["source"] == str(trust)


def test_a_trust_file_with_another_key_trusts_only_that(
    downloads: Downloads, tmp_path: Path, other_key: KeyPair
) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json")
    trust = tmp_path / "trust.toml"
    trust.write_text(f'[[trust.key]]\npath = "{other_key.public}"\n')
    result = downloads.verify("plain.onnx", "--trust", trust, trusted=False)
    assert (result.code, [code for code, _ in result.codes]) == (1, ["SIG604"])


def test_a_trust_file_without_a_key_is_refused(downloads: Downloads, tmp_path: Path) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json")
    (tmp_path / "trust.toml").write_text("")
    result = downloads.verify("plain.onnx", "--trust", tmp_path / "trust.toml", trusted=False)
    assert (result.code, result.out) == (2, "")
    assert "trusts no signer" in result.err


def test_where_the_signature_does_not_hold_the_publisher_is_to_be_asked(
    downloads: Downloads,
) -> None:
    downloads.fetch_with_bundle("plain.onnx", "plain.json").write_bytes(model(salt=99))
    (finding,) = downloads.verify("plain.onnx").json["findings"]
    assert "provenance release" not in finding["help"]
    assert "publisher" in finding["help"]
