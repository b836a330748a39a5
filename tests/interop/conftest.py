# SPDX-License-Identifier: Apache-2.0
"""Releases made once per run, and the clients that verify them. A missing client is an error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.clients import Cosign, CosignSigner, SigstoreJs, SigstorePython
from tests.interop.credentials import Credential, Identity, Key
from tests.interop.instance.instance import Instance, Services, running
from tests.interop.matrix import Clients, Matrix, measure
from tests.interop.peers import Peers, prepare
from tests.interop.release import (
    Release,
    Released,
    committed_release,
    export,
    make_keyless_release,
    make_release,
    provenance,
)


@pytest.fixture(scope="session")
def peers() -> Peers:
    return prepare()


@pytest.fixture(scope="session")
def cosign(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    return Cosign(peers.cosign, tmp_path_factory.mktemp("cosign-home"))


@pytest.fixture(scope="session")
def sigstore_js(peers: Peers) -> SigstoreJs:
    return SigstoreJs(peers.node, peers.node_modules)


@pytest.fixture(scope="session")
def instance(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A Sigstore instance on loopback, for this run only."""
    with running(Services.of(peers), tmp_path_factory.mktemp("instance")) as started:
        yield started


@pytest.fixture(scope="session")
def model_as_it_is(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed models, whose ensemble consists of placeholders."""
    return export(tmp_path_factory.mktemp("reference") / "model", production=False)


@pytest.fixture(scope="session")
def production_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("production") / "model")


@pytest.fixture(scope="session")
def identity(instance: Instance) -> Identity:
    return Identity(instance)


@pytest.fixture(scope="session")
def clients(cosign: Cosign, sigstore_js: SigstoreJs) -> Clients:
    return Clients(cosign, SigstorePython(), sigstore_js)


@pytest.fixture(scope="session")
def keyless_reference(
    tmp_path_factory: pytest.TempPathFactory, instance: Instance, model_as_it_is: Path
) -> Released:
    """As `reference`, signed by an identity."""
    root = tmp_path_factory.mktemp("keyless") / "reference"
    return make_keyless_release(root, instance, model_as_it_is, deferred=True)


@pytest.fixture(scope="session")
def keyless_production(
    tmp_path_factory: pytest.TempPathFactory, instance: Instance, production_model: Path
) -> Released:
    """As `production`, signed by an identity."""
    root = tmp_path_factory.mktemp("keyless") / "production"
    return make_keyless_release(root, instance, production_model)


@pytest.fixture(scope="session")
def matrix(
    clients: Clients,
    identity: Identity,
    production: Release,
    keyless_production: Released,
    tmp_path_factory: pytest.TempPathFactory,
) -> Matrix:
    """The answer of every client for every document."""
    key = Key(production.root / "release.key", production.public_key)
    releases: dict[Credential, Released] = {key: production, identity: keyless_production}
    return measure(clients, releases, tmp_path_factory.mktemp("matrix"))


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, model_as_it_is: Path) -> Release:
    """The registry as ADR-1105 decided it: five deferrals, no seed attestation."""
    return make_release(tmp_path_factory.mktemp("reference"), model_as_it_is, deferred=True)


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory, production_model: Path) -> Release:
    """The registry after the production export: every kind of bundle, no deferral."""
    return make_release(tmp_path_factory.mktemp("production"), production_model)


@pytest.fixture(params=["committed", "reference", "production"])
def release(request: pytest.FixtureRequest) -> Release:
    """Each release: the committed bundles, and two releases made by this run."""
    if request.param == "committed":
        return committed_release()
    made: Release = request.getfixturevalue(request.param)
    return made


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public key of another signer."""
    folder = tmp_path_factory.mktemp("other")
    assert provenance(folder, "keygen", "other").returncode == 0
    return folder / "other.pub"


@pytest.fixture(scope="session")
def cosign_signer(
    cosign: Cosign, reference: Release, tmp_path_factory: pytest.TempPathFactory
) -> CosignSigner:
    folder = tmp_path_factory.mktemp("cosign-signer")
    return CosignSigner.of(cosign, folder, reference.root / "release.key")
