# SPDX-License-Identifier: Apache-2.0
"""Advice for consumers never asks them to do what only the publisher can do.

Every case of `tests/cases/` is verified in each way that a consumer can use, whatever the case is
about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from provenance import open_model, trust_from_keys
from provenance.attestations.bundle import SUFFIX, SUMMARY_SUFFIX
from provenance.errors import ProvenanceError
from tests.support.cases import Case, Workshop, all_cases
from tests.support.command import run_cli
from tests.support.keys import PUBLIC, KeyPair

PUBLISHERS = re.compile(
    r"provenance (init|add|remove|keygen|hash|check|restore|promote|sign|attest|release|layout)\b"
    r"|--fix\b|--signer\b|key pair"
)
STRICT = ("--require", "row,production,no-deferrals", "--license-allow", "CC0-1.0")


def ways(shop: Workshop) -> Iterator[tuple[str, ...]]:
    """Return the commands of a consumer who trusts the publisher's key, or another one."""
    for key in (shop.key, shop.other):
        trusted = ("--key", str(key.public))
        yield ("verify", *trusted)
        yield ("verify", *trusted, *STRICT, "--max-age", "1d")
        for bundle in sorted(shop.tree.rglob(f"*{SUFFIX}")):
            name = bundle.name.removesuffix(SUFFIX)
            if bundle.name.endswith(SUMMARY_SUFFIX):
                registry = bundle.name.removesuffix(SUMMARY_SUFFIX)
                for path in shop.tree.rglob(registry):
                    yield ("verify-release", str(path), "--summary", str(bundle), *trusted, *STRICT)
            for path in shop.tree.rglob(name) if name.endswith(".onnx") else ():
                yield ("verify-model", str(path), "--bundle", str(bundle), *trusted)
                yield ("verify-model", str(path), *trusted, *STRICT, "--max-age", "1d")


@pytest.mark.parametrize("case", all_cases(), ids=lambda c: c.name)
def test_advice_for_a_consumer_is_not_that_for_a_publisher(
    case: Case, tmp_path: Path, key: KeyPair, other_key: KeyPair
) -> None:
    shop = Workshop(tmp_path / "tree", tmp_path / "outside", key, other_key)
    shop.lay_out(case)
    for arguments in ways(shop):
        done = run_cli(*arguments, "--offline", cwd=shop.tree)
        assert done.code in range(5)
        found = [line for line in (done.out + done.err).splitlines() if PUBLISHERS.search(line)]
        assert found == [], arguments
    for bundle in sorted(shop.tree.rglob(f"*.onnx{SUFFIX}")):
        for path in shop.tree.rglob(bundle.name.removesuffix(SUFFIX)):
            refused = refusal(path, bundle, key)
            assert PUBLISHERS.search(refused) is None, refused


def refusal(path: Path, bundle: Path, key: KeyPair) -> str:
    """Return the messages of `open_model` for a refused model, or an empty result if it opens."""
    try:
        with open_model(path, trust_from_keys([key.public]), bundle=bundle, offline=True):
            return ""
    except ProvenanceError as e:
        return f"{e} {e.help}"


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "-C", "{outside}"),
        ("verify", "-C", "{outside}", "--key", "{pub}"),
        ("verify", "--config", "pyproject.toml", "--key", "{pub}"),
        ("verify-release", "r.json", "--key", "{pub}"),
        ("verify", "no-such-row", "--config", "provenance.toml", "--key", "{pub}"),
        ("verify", "m.onnx"),
        ("verify-model", "m.onnx"),
        ("verify-blob", "m.onnx", "--bundle", "m", "--key", "{pub}"),
        ("verify-model", "m.onnx", "--key", "{pub}"),
        ("verify-model", "m.onnx", "--key", "{key}"),
        ("verify-model", "m.onnx", "--key", "none.pub"),
        ("verify-model", "m.onnx", "--key", "rsa.pub"),
        ("verify-model", "m.onnx", "--trust", "empty.toml"),
    ],
    ids=" ".join,
)
def test_error_does_not_advise_a_consumer_to_publish(
    arguments: tuple[str, ...], tmp_path: Path, key: KeyPair, other_key: KeyPair
) -> None:
    shop = Workshop(tmp_path / "tree", tmp_path / "outside", key, other_key)
    for folder in (shop.tree, shop.outside):
        folder.mkdir()
        (folder / "pyproject.toml").write_text("[project]\n")
    (shop.tree / "provenance.toml").write_text('registry = "registry.json"\n')
    (shop.tree / "registry.json").write_text('{"models": [{"id": "m", "onnx": "m.onnx"}]}')
    (shop.tree / "empty.toml").write_text("")
    (shop.tree / "rsa.pub").write_bytes(PUBLIC["rsa"]())
    done = run_cli(*(shop.fill(a) for a in arguments), cwd=shop.tree)
    assert done.code == 2
    assert PUBLISHERS.search(done.err) is None, done.err
