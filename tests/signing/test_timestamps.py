# SPDX-License-Identifier: Apache-2.0
"""Timestamps as authorities write them, and authorities as trusted roots list them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from provenance.signing import description, timestamp_token
from provenance.signing.algorithms import UnsupportedError
from provenance.signing.timestamp_token import TimestampError
from provenance.signing.timestamps import stamp
from provenance.signing.trust import Trust
from tests.signing.workshop import (
    CONTENT,
    PAYLOAD,
    accepted,
    entry,
    flipped,
    instance,
    refusal,
    signature,
    stamps,
    stranger,
    trust,
)
from tests.support.sigstore.ca import Authority, make_authority
from tests.support.sigstore.instance import END, NOW, START, Bundle
from tests.support.sigstore.rekor import b64
from tests.support.sigstore.tsa import TimestampAuthority

STAMPING = ExtendedKeyUsageOID.TIME_STAMPING


def authority(*, self_signed: bool = False, between: bool = False, **how: Any) -> Authority:
    """Make a timestamp authority: below a root, below an intermediate, or self-signed."""
    if self_signed:
        return make_authority("alone", START, END, None, STAMPING, leaf=True, **how)
    above = make_authority("stamp root", START, END)
    if between:
        above = make_authority("between", START, END, above, STAMPING)
    return make_authority("stamps", START, END, above, how.pop("purpose", STAMPING), leaf=True)


def tsa(made: Authority) -> TimestampAuthority:
    found = TimestampAuthority(START, END)
    found.authority = made
    return found


def root_with(*chain: x509.Certificate) -> Trust:
    """Return a trust whose root lists one timestamp authority with these certificates."""
    root = instance().trusted_root()
    listed = [{"rawBytes": b64(c.public_bytes(Encoding.DER))} for c in chain]
    root["timestampAuthorities"][0]["certChain"]["certificates"] = listed
    return trust(root)


def stamped(by: Authority, *, bundle: Bundle | None = None, **how: Any) -> Bundle:
    """Return a bundle with one timestamp of an authority."""
    bundle = bundle or instance().attest(PAYLOAD, timestamps=0)
    made = tsa(by).stamp(signature(bundle), NOW, **how)
    stamps(bundle).append({"signedTimestamp": b64(made)})
    return bundle


WHOLE = authority(between=True)
ALONE = authority(self_signed=True)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_certificates_of_a_response_come_in_any_order(order: tuple[int, ...]) -> None:
    carried = [WHOLE.chain[place] for place in order]
    accepted(stamped(WHOLE, carried=carried), root_with(*WHOLE.chain))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_certificates_of_an_authority_come_in_any_order(order: tuple[int, ...]) -> None:
    accepted(stamped(WHOLE), root_with(*[WHOLE.chain[place] for place in order]))


LISTED: dict[str, tuple[Authority, Callable[[], tuple[x509.Certificate, ...]]]] = {
    "a self-signed leaf": (ALONE, lambda: ALONE.chain),
    "a leaf alone": (WHOLE, lambda: WHOLE.chain[:1]),
    "a leaf and what is above it, without a root": (WHOLE, lambda: WHOLE.chain[:2]),
    "a root alone": (WHOLE, lambda: WHOLE.chain[2:]),
    "an authority between alone": (WHOLE, lambda: WHOLE.chain[1:2]),
}


@pytest.mark.parametrize("listed", LISTED)
@pytest.mark.parametrize("form", ["v2", "v1", None, "v2 dsse"])
def test_an_authority_is_listed_in_part(listed: str, form: Any) -> None:
    by, chain = LISTED[listed]
    who = root_with(*chain())
    if form is None:
        assert who.root is not None
        root = instance().trusted_root() | {"tlogs": []}
        root["timestampAuthorities"][0]["certChain"]["certificates"] = [
            {"rawBytes": b64(c.public_bytes(Encoding.DER))} for c in chain()
        ]
        who = trust(root)
    bundle = instance().attest(PAYLOAD, log=form, timestamps=0)
    carried = by.chain
    accepted(stamped(by, bundle=bundle, carried=carried), who)
    other = instance().attest(PAYLOAD, log=form, timestamps=0)
    theirs = tsa(by).stamp(b"another signature", NOW, carried=carried)
    stamps(other).append({"signedTimestamp": b64(theirs)})
    assert "by an authority that was trusted then" in refusal(other, who)


def test_a_bare_file_is_stamped_by_such_an_authority_too() -> None:
    bundle = instance().sign_bytes(CONTENT, timestamps=0)
    accepted(stamped(ALONE, bundle=bundle), root_with(*ALONE.chain))


def test_the_log_is_judged_beside_such_an_authority() -> None:
    bundle = stamped(ALONE)
    hashes_of = entry(bundle)["inclusionProof"]["hashes"]
    hashes_of[0] = flipped(hashes_of[0])
    assert "does not match the tree" in refusal(bundle, root_with(*ALONE.chain))
    swapped, other = stamped(ALONE), instance().attest(PAYLOAD)
    entry(swapped).update(entry(other))
    assert "of another signature" in refusal(swapped, root_with(*ALONE.chain))


def test_a_response_without_certificates_is_judged_by_those_of_the_authority() -> None:
    accepted(stamped(WHOLE, carried=()), root_with(*WHOLE.chain))
    accepted(stamped(ALONE, carried=()), root_with(*ALONE.chain))
    assert "by an authority that was trusted then" in refusal(
        stamped(WHOLE, carried=()), root_with(*WHOLE.chain[2:])
    )


def test_a_response_with_the_certificate_of_another_does_not_count() -> None:
    theirs = stranger().tsa.authority
    carried = [theirs.certificate, *WHOLE.chain]
    for listed in (ALONE.chain, stranger().tsa.authority.chain[:1], theirs.chain[1:]):
        assert "by an authority that was trusted then" in refusal(
            stamped(WHOLE, carried=carried), root_with(*listed)
        )


def test_a_certificate_that_may_issue_makes_no_timestamps() -> None:
    issuing = make_authority("issuer", START, END, make_authority("r", START, END), STAMPING)
    for listed in (issuing.chain, issuing.chain[:1], issuing.chain[1:]):
        assert "by an authority that was trusted then" in refusal(
            stamped(issuing, carried=issuing.chain), root_with(*listed)
        )


def test_a_certificate_for_another_purpose_makes_no_timestamps() -> None:
    other = authority(purpose=ExtendedKeyUsageOID.CODE_SIGNING)
    for listed in (other.chain[:1], other.chain[1:]):
        assert "by an authority that was trusted then" in refusal(
            stamped(other, carried=other.chain), root_with(*listed)
        )
    assert "sigstore does not verify it" in refusal(stamped(other), root_with(*other.chain))


def test_an_authority_counts_only_while_its_certificate_is_valid() -> None:
    late = make_authority("late", NOW.replace(hour=13), END, None, STAMPING, leaf=True)
    assert "no timestamp authority was trusted" in refusal(stamped(late), root_with(*late.chain))
    below = make_authority("late", NOW.replace(hour=13), END, WHOLE, STAMPING, leaf=True)
    assert "by an authority that was trusted then" in refusal(
        stamped(below, carried=below.chain), root_with(*WHOLE.chain[2:])
    )


@pytest.mark.parametrize("function", [hashes.SHA384(), hashes.SHA512()])
def test_larger_hash_functions_count(function: hashes.HashAlgorithm) -> None:
    for by in (WHOLE, ALONE):
        accepted(stamped(by, function=function, imprint=function.name), root_with(*by.chain))


@pytest.mark.parametrize("by", [WHOLE, ALONE])
def test_a_signature_over_sha1_does_not_count(by: Authority) -> None:
    weak = stamped(by, function=hashes.SHA1())  # noqa: S303
    assert "signed with SHA-1, which is not secure" in refusal(weak, root_with(*by.chain))
    weak = stamped(by, imprint="sha1")
    assert "uses SHA-1, which is not secure" in refusal(weak, root_with(*by.chain))


def test_a_hash_function_that_is_not_known_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="unsupported hash"):
        timestamp_token.read(tsa(ALONE).stamp(b"", NOW, imprint="sha3_256"))
    with pytest.raises(UnsupportedError, match="unsupported signature algorithm"):
        timestamp_token.read(tsa(ALONE).stamp(b"", NOW, function=hashes.SHA224()))


def test_a_response_with_a_crowd_of_certificates_is_refused() -> None:
    carried = [make_authority(f"{n}", START, END).certificate for n in range(33)]
    with pytest.raises(TimestampError, match="expected at most 32"):
        timestamp_token.read(tsa(ALONE).stamp(b"", NOW, carried=carried))


@pytest.mark.parametrize("listed", ["a self-signed leaf", "a root alone"])
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_each_byte_of_a_timestamp_counts_or_is_not_looked_at(listed: str) -> None:
    """A changed byte is refused, or does not change the time or the signature."""
    by, chain = LISTED[listed]
    good = tsa(by).stamp(b"signature", NOW, carried=by.chain)
    root = root_with(*chain()).root
    assert root is not None
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1
        try:
            token = timestamp_token.read(bytes(changed))
            found = stamp(token, b"signature", root)
        except (TimestampError, UnsupportedError):
            continue
        assert found.time == NOW
    for length in range(0, len(good), 7):
        with pytest.raises((TimestampError, UnsupportedError)):
            timestamp_token.read(good[:length])


def test_a_response_in_another_order_is_shown_and_written_in_that_of_der() -> None:
    for order in itertools.permutations(WHOLE.chain):
        made = tsa(WHOLE).stamp(b"signature", NOW, carried=order)
        assert description.of_timestamp(made).time == NOW
        ordered = timestamp_token.in_order(made)
        assert ordered == timestamp_token.in_order(ordered)
        assert len(ordered) == len(made)
    assert timestamp_token.in_order(b"no response") == b"no response"


def test_a_response_with_no_signer_or_without_attributes_is_refused() -> None:
    for name in ("signer_infos", "signed_attrs"):
        response = tsp.TimeStampResp.load(tsa(ALONE).stamp(b"signature", NOW))
        signed = response["time_stamp_token"]["content"]
        if name == "signer_infos":
            signed[name] = []
        else:
            signed["signer_infos"][0][name] = None
        with pytest.raises(TimestampError):
            timestamp_token.read(response.dump(force=True))
