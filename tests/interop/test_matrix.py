# SPDX-License-Identifier: Apache-2.0
"""Which client verifies which signer, and that the documentation shows the measured results."""

from __future__ import annotations

import pytest

from tests.interop.matrix import Answer, Clients, Document, Matrix
from tests.interop.page import PAGE, page_with, versions_of
from tests.interop.peers import Peers

pytestmark = pytest.mark.interop


def test_every_client_verifies_every_document_that_it_is_offered(matrix: Matrix) -> None:
    refused = {where for where, answer in matrix.ours.items() if answer is Answer.REFUSED}
    # It verifies attestations only, and a plain signature is not one.
    assert refused == {(Document.MESSAGE, "keyless", "`cosign verify-blob-attestation`")}


def test_what_every_client_signs_is_accepted(matrix: Matrix) -> None:
    answers = list(matrix.theirs.values())
    assert Answer.REFUSED not in answers
    assert answers.count(Answer.ACCEPTED) == 18


def test_the_page_shows_the_measured_results(
    matrix: Matrix, peers: Peers, clients: Clients
) -> None:
    text, versions = PAGE.read_text("utf-8"), versions_of(peers, clients)
    assert text == page_with(text, matrix, versions), "run `make interop-docs`, and look at it"
