# SPDX-License-Identifier: Apache-2.0
"""`open_model`: what a verified model offers, and that other models are refused."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

import provenance
from provenance import InputError, ModelRefusedError, Require, VerificationError
from provenance.gate.judge import judge
from tests.consumer.conftest import ONE, Downloads, compute, weights
from tests.support.cases import message_bundle
from tests.support.keys import KeyPair
from tests.support.models import model
from tests.support.releases import SUMMARY, two_releases
from tests.support.repository import SUFFIX, sha256


def refused(downloads: Downloads, name: str = "outside.onnx", **options: object) -> list[str]:
    """Return the codes for which a model is refused, and check that no copies are left."""
    with pytest.raises(ModelRefusedError) as caught:
        downloads.open(name, **options)
    assert downloads.left == []
    assert caught.value.exit_code == 1
    return [f.code for f in caught.value.report.failing]


def test_a_verified_model_has_all_that_was_signed(downloads: Downloads) -> None:
    with downloads.open() as opened:
        assert opened.name == "outside.onnx"
        assert (opened.row["id"], opened.row["license"], opened.row["classification"]) == (
            "outside", "MIT", "production",
        )  # fmt: skip
        assert opened.sidecar is not None
        assert opened.sidecar["feature_order"] == [f"f{i}" for i in range(6)]
        assert {n: d.sha256 for n, d in opened.files.items()} == {
            "outside.onnx": sha256((downloads.folder / "outside.onnx").read_bytes()),
            "weights/outside.data": sha256(weights()),
        }
        assert opened.report.verdict is provenance.Verdict.VERIFIED
        assert repr(opened) == "<VerifiedModel outside.onnx, row 'outside'>"
    assert repr(opened) == "<VerifiedModel outside.onnx, row 'outside', closed>"


def test_its_bytes_are_those_of_its_files(downloads: Downloads) -> None:
    with downloads.open() as opened:
        assert opened.read_bytes() == (downloads.folder / "outside.onnx").read_bytes()
        assert opened.read_bytes("weights/outside.data") == weights()
        with pytest.raises(InputError, match=r"has no file '../outside\.onnx'"):
            opened.read_bytes("../outside.onnx")


def test_its_path_is_of_a_private_copy_with_its_weights_beside_it(downloads: Downloads) -> None:
    with downloads.open() as opened:
        path = opened.path
        assert path.parent.parent == downloads.private
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        for name in opened.files:
            copy, original = path.parent / name, downloads.folder / name
            assert stat.S_IMODE(copy.stat().st_mode) == 0o400
            assert copy.read_bytes() == original.read_bytes()
            assert not copy.samefile(original)
    assert downloads.left == []


def test_nothing_but_verified_files_lies_beside_the_copy(downloads: Downloads) -> None:
    (downloads.folder / "notes.bin").write_bytes(b"a runtime might open this")
    with downloads.open() as opened:
        found = {
            p.relative_to(opened.path.parent).as_posix() for p in opened.path.parent.rglob("*")
        }
    assert found == {*opened.files, "weights"}


def test_a_model_without_a_sidecar_has_none(downloads: Downloads) -> None:
    with downloads.open("inside.onnx") as opened:
        assert opened.sidecar is None


def test_links_in_the_downloads_are_followed(downloads: Downloads, tmp_path: Path) -> None:
    """A download cache names files by their digests, and links to them."""
    blob = tmp_path / "blob"
    (downloads.folder / "outside.onnx").rename(blob)
    (downloads.folder / "outside.onnx").symlink_to(blob)
    (downloads.folder / "weights").rename(tmp_path / "elsewhere")
    (downloads.folder / "weights").symlink_to(tmp_path / "elsewhere")
    with downloads.open() as opened:
        assert not opened.path.is_symlink()
        assert compute(opened.session()) == ONE


def test_an_int8_variant_alone_is_not_the_signed_row(downloads: Downloads) -> None:
    """All models that were signed with the row must be present (ATT705)."""
    bundle = downloads.folder / f"quantized.onnx{SUFFIX}"
    with downloads.open("quantized.onnx", bundle=bundle):
        pass
    with pytest.raises(ModelRefusedError) as caught:
        downloads.open("quantized.int8.onnx", bundle=bundle)
    assert [f.code for f in caught.value.report.failing] == ["ATT705"]


def test_paths_may_be_text(downloads: Downloads) -> None:
    with provenance.open_model(str(downloads.folder / "inside.onnx"), downloads.trust) as opened:
        assert opened.row["id"] == "inside"
        assert opened.path.parent.parent == downloads.private
    elsewhere = downloads.folder / "weights"
    with downloads.open(folder=str(elsewhere)) as opened:
        assert opened.path.parent.parent == elsewhere


def test_other_bytes_are_refused(downloads: Downloads) -> None:
    (downloads.folder / "inside.onnx").write_bytes(model(salt=99))
    assert refused(downloads, "inside.onnx") == ["SIG605"]


def test_other_weights_are_refused(downloads: Downloads) -> None:
    (downloads.folder / "weights/outside.data").write_bytes(weights(7))
    assert refused(downloads) == ["SIG605"]


def test_missing_weights_are_refused(downloads: Downloads) -> None:
    (downloads.folder / "weights/outside.data").unlink()
    assert refused(downloads) == ["ART304"]


def test_a_changed_sidecar_is_refused(downloads: Downloads) -> None:
    sidecar = downloads.folder / "outside.json"
    sidecar.write_text(sidecar.read_text().replace("f0", "f1"))
    assert refused(downloads) == ["ATT704"]


def test_another_name_is_refused(downloads: Downloads) -> None:
    (downloads.folder / "inside.onnx").rename(downloads.folder / "better.onnx")
    bundle = downloads.folder / f"inside.onnx{SUFFIX}"
    assert refused(downloads, "better.onnx", bundle=bundle) == ["SIG606"]


def test_another_signer_is_refused(downloads: Downloads, other_key: KeyPair) -> None:
    trust = provenance.trust_from_keys([other_key.public])
    with pytest.raises(ModelRefusedError) as caught:
        provenance.open_model(downloads.folder / "inside.onnx", trust)
    assert [f.code for f in caught.value.report.failing] == ["SIG604"]


def test_a_signature_over_the_bytes_alone_is_refused(downloads: Downloads, key: KeyPair) -> None:
    content = (downloads.folder / "inside.onnx").read_bytes()
    bundle = downloads.folder / f"inside.onnx{SUFFIX}"
    bundle.write_text(json.dumps(message_bundle(content, key)))
    assert refused(downloads, "inside.onnx") == ["USE001"]


@pytest.mark.parametrize("copy", ["kept", "changed"])
def test_one_of_several_bundles_in_a_file_opens_a_model(
    downloads: Downloads, other_key: KeyPair, monkeypatch: pytest.MonkeyPatch, copy: str
) -> None:
    """Each bundle is verified with the same private copy, even if the original is replaced."""
    bundle = downloads.folder / f"outside.onnx{SUFFIX}"
    content = (downloads.folder / "outside.onnx").read_bytes()
    theirs = json.dumps(message_bundle(content, other_key))
    bundle.write_text(f"{theirs}\n{json.dumps(json.loads(bundle.read_bytes()))}\n")
    if copy == "kept":
        with downloads.open() as opened:
            assert opened.row["id"] == "outside"
        return

    def exchange(*arguments: Any, **options: Any) -> Any:
        for made in downloads.private.glob("*/outside.onnx"):
            made.unlink()
            made.write_bytes(content)
        return judge(*arguments, **options)

    monkeypatch.setattr("provenance.operations.verify_download.judge", exchange)
    with pytest.raises(VerificationError, match=r"outside\.onnx"):
        downloads.open()


def test_the_attestation_of_something_else_is_refused(downloads: Downloads) -> None:
    assert refused(downloads, "inside.onnx", bundle=downloads.folder / SUMMARY) == ["ATT701"]


def test_what_is_required_is_refused_by_name(downloads: Downloads) -> None:
    require = Require(production=True, no_deferrals=True, licenses=["Zlib"], summary=True)
    (downloads.folder / SUMMARY).unlink()
    with pytest.raises(ModelRefusedError) as caught:
        downloads.open("held.onnx", require=require)
    message = caught.value.message
    codes = [f.code for f in caught.value.report.failing]
    assert codes == ["USE002", "USE003", "USE004", "USE005"]
    assert all(code in message for code in codes[:3])
    assert message.endswith("; and 1 more")
    assert caught.value.help is not None


def test_what_is_required_and_there_is_given(downloads: Downloads, tmp_path: Path) -> None:
    require = Require(production=True, no_deferrals=True, licenses=["MIT"], summary=True)
    state = tmp_path / "seen.json"
    with downloads.open(require=require, state=state, summary=downloads.folder / SUMMARY):
        assert state.exists()


def test_a_model_of_an_older_release_is_refused(
    downloads: Downloads, tmp_path: Path, key: KeyPair
) -> None:
    published, state = two_releases(tmp_path, key), tmp_path / "seen.json"
    for release, codes in ((published.may, []), (published.march, ["USE008"])):
        try:
            with provenance.open_model(release / "kept.onnx", downloads.trust, state=state):
                found = []
        except ModelRefusedError as e:
            found = [f.code for f in e.report.failing]
        assert found == codes


def test_a_file_that_is_not_there_is_no_model(downloads: Downloads) -> None:
    with pytest.raises(InputError, match="no such file"):
        downloads.open("none.onnx")
    with pytest.raises(InputError, match="bundle"):
        downloads.open("outside.onnx", bundle="none")
    assert downloads.left == []


@pytest.mark.parametrize("use", ["path", "read_bytes", "session", "proto", "__enter__"])
def test_a_model_that_was_closed_cannot_be_used(downloads: Downloads, use: str) -> None:
    opened = downloads.open()
    opened.close()
    opened.close()  # once more does no harm
    with pytest.raises(InputError, match=r"outside\.onnx is closed"):
        getattr(opened, use)()


def test_a_refusal_is_a_verification_error() -> None:
    assert issubclass(ModelRefusedError, VerificationError)
