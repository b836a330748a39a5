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
from tests.support.releases import SUMMARY
from tests.support.repository import SUFFIX, sha256


def refused(downloads: Downloads, name: str, **options: object) -> ModelRefusedError:
    """Return the refusal of a model, and check that no copies are left."""
    with pytest.raises(ModelRefusedError) as caught:
        downloads.open(name, **options)
    assert downloads.left == []
    assert isinstance(caught.value, VerificationError)
    assert caught.value.exit_code == 1
    return caught.value


def codes(refusal: ModelRefusedError) -> list[str]:
    return [f.code for f in refusal.report.failing]


# --- a verified model --------------------------------------------------------------------------


def test_model_has_its_signed_row_and_files(downloads: Downloads) -> None:
    with downloads.open() as opened:
        assert opened.name == "outside.onnx"
        assert (opened.row["id"], opened.row["license"]) == ("outside", "MIT")
        assert opened.row["classification"] == "production"
        assert opened.sidecar is not None
        assert opened.sidecar["feature_order"] == [f"f{i}" for i in range(6)]
        content = (downloads.folder / "outside.onnx").read_bytes()
        assert {n: d.sha256 for n, d in opened.files.items()} == {
            "outside.onnx": sha256(content),
            "weights/outside.data": sha256(weights()),
        }
        assert opened.read_bytes() == content
        assert opened.read_bytes("weights/outside.data") == weights()
        with pytest.raises(InputError, match=r"has no file '../outside\.onnx'"):
            opened.read_bytes("../outside.onnx")
        assert opened.report.verdict is provenance.Verdict.VERIFIED
        assert repr(opened) == "<VerifiedModel outside.onnx, row 'outside'>"
    assert repr(opened) == "<VerifiedModel outside.onnx, row 'outside', closed>"
    with downloads.open("inside.onnx") as opened:
        assert opened.sidecar is None


def test_path_is_a_private_copy_of_the_verified_files(downloads: Downloads) -> None:
    (downloads.folder / "notes.bin").write_bytes(b"a runtime might open this")
    with downloads.open() as opened:
        folder = opened.path.parent
        assert folder.parent == downloads.private
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for name in opened.files:
            copy, original = folder / name, downloads.folder / name
            assert stat.S_IMODE(copy.stat().st_mode) == 0o400
            assert copy.read_bytes() == original.read_bytes()
            assert not copy.samefile(original)
        found = {p.relative_to(folder).as_posix() for p in folder.rglob("*")}
        assert found == {*opened.files, "weights"}
    assert downloads.left == []


def test_links_in_the_downloads_are_followed(downloads: Downloads, tmp_path: Path) -> None:
    """A download cache names files by their digests, and links to them."""
    for name in ("outside.onnx", "weights"):
        (downloads.folder / name).rename(tmp_path / name)
        (downloads.folder / name).symlink_to(tmp_path / name)
    with downloads.open() as opened:
        assert not opened.path.is_symlink()
        assert compute(opened.session()) == ONE


def test_paths_may_be_strings(downloads: Downloads) -> None:
    elsewhere = str(downloads.folder / "weights")
    name = str(downloads.folder / "inside.onnx")
    with provenance.open_model(name, downloads.trust, folder=elsewhere) as opened:
        assert opened.row["id"] == "inside"
        assert opened.path.parent.parent == Path(elsewhere)


@pytest.mark.parametrize("replaced", [False, True])
def test_model_opens_with_one_of_several_bundles(
    downloads: Downloads, other_key: KeyPair, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    """Each bundle is verified with the same private copy, even if the copy is replaced."""
    bundle = downloads.folder / f"outside.onnx{SUFFIX}"
    content = (downloads.folder / "outside.onnx").read_bytes()
    theirs = json.dumps(message_bundle(content, other_key))
    bundle.write_text(f"{theirs}\n{json.dumps(json.loads(bundle.read_bytes()))}\n")
    if not replaced:
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


@pytest.mark.parametrize("use", ["path", "read_bytes", "session", "proto", "__enter__"])
def test_closed_model_cannot_be_used(downloads: Downloads, use: str) -> None:
    opened = downloads.open()
    opened.close()
    opened.close()  # once more does no harm
    with pytest.raises(InputError, match=r"outside\.onnx is closed"):
        getattr(opened, use)()


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changed", "content", "code"),
    [
        ("inside.onnx", "inside.onnx", model(salt=99), "SIG605"),
        ("outside.onnx", "weights/outside.data", weights(7), "SIG605"),
        ("outside.onnx", "outside.json", b"{}", "ATT704"),
    ],
    ids=["model", "weights", "sidecar"],
)
def test_changed_file_is_refused(
    downloads: Downloads, name: str, changed: str, content: bytes, code: str
) -> None:
    (downloads.folder / changed).write_bytes(content)
    assert codes(refused(downloads, name)) == [code]


@pytest.mark.parametrize(
    ("name", "bundle", "code"),
    [
        ("inside.onnx", SUMMARY, "ATT701"),
        # All models that were signed with the row must be present.
        ("quantized.int8.onnx", f"quantized.onnx{SUFFIX}", "ATT705"),
    ],
)
def test_bundle_of_another_model_is_refused(
    downloads: Downloads, name: str, bundle: str, code: str
) -> None:
    assert codes(refused(downloads, name, bundle=downloads.folder / bundle)) == [code]


def test_model_of_another_signer_is_refused(downloads: Downloads, other_key: KeyPair) -> None:
    trust = provenance.trust_from_keys([other_key.public])
    with pytest.raises(ModelRefusedError) as caught:
        provenance.open_model(downloads.folder / "inside.onnx", trust)
    assert codes(caught.value) == ["SIG604"]


def test_requirements_are_checked(downloads: Downloads, tmp_path: Path) -> None:
    state, summary = tmp_path / "seen.json", downloads.folder / SUMMARY
    require = Require(production=True, no_deferrals=True, licenses=["MIT"], summary=True)
    with downloads.open(require=require, state=state, summary=summary):
        assert state.exists()
    summary.unlink()
    require = Require(production=True, no_deferrals=True, licenses=["Zlib"], summary=True)
    refusal = refused(downloads, "held.onnx", require=require)
    assert codes(refusal) == ["USE002", "USE003", "USE004", "USE005"]
    assert all(code in refusal.message for code in codes(refusal)[:3])
    assert refusal.message.endswith("; and 1 more")
    assert refusal.help is not None


def test_missing_file_is_an_input_error(downloads: Downloads) -> None:
    with pytest.raises(InputError, match="no such file"):
        downloads.open("none.onnx")
    with pytest.raises(InputError, match="bundle"):
        downloads.open("outside.onnx", bundle="none")
    assert downloads.left == []
