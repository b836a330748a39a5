# SPDX-License-Identifier: Apache-2.0
"""Real clients accept the instance on loopback as a Sigstore instance."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.clients import Draft
from tests.interop.credentials import Identity
from tests.interop.matrix import Clients
from tests.interop.release import Claim

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("verifier", ["`cosign verify-blob`", "`sigstore verify identity`"])
@pytest.mark.parametrize("signer", ["cosign", "sigstore-python"])
def test_clients_verify_each_other_and_refuse_changed_bytes(
    clients: Clients, identity: Identity, signer: str, verifier: str, tmp_path: Path
) -> None:
    file, bundle = tmp_path / "m.onnx", tmp_path / "m.onnx.sigstore.json"
    file.write_bytes(b"not a model, which does not matter")
    if signer == "cosign":
        clients.cosign.sign([Draft(file, bundle)], identity)
    else:
        clients.python.sign(file, bundle, identity)
    verify, claims = clients.verifiers[verifier], [Claim(bundle, file, "")]
    assert verify(claims, identity) == [None]
    file.write_bytes(b"other bytes")
    assert None not in verify(claims, identity)
