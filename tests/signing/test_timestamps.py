# SPDX-License-Identifier: Apache-2.0
"""Timestamps as authorities write them, and authorities as trusted roots list them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

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
    flip_hash,
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

Chain = Sequence[x509.Certificate]

STAMPING: Final = ExtendedKeyUsageOID.TIME_STAMPING
NOT_THEN: Final = "by an authority that was trusted then"

ROOT = make_authority("root", START, END)
BETWEEN = make_authority("between", START, END, ROOT, STAMPING)
WHOLE = make_authority("stamps", START, END, BETWEEN, STAMPING, leaf=True)
ALONE = make_authority("alone", START, END, None, STAMPING, leaf=True)


def tsa(made: Authority) -> TimestampAuthority:
    found = TimestampAuthority(START, END)
    found.authority = made
    return found


def root_with(chain: Chain, **changes: Any) -> Trust:
    """Return a trust whose root lists one timestamp authority with these certificates."""
    root = instance().trusted_root() | changes
    listed = [{"rawBytes": b64(c.public_bytes(Encoding.DER))} for c in chain]
    root["timestampAuthorities"][0]["certChain"]["certificates"] = listed
    return trust(root)


def add_stamp(bundle: Bundle, by: Authority, over: bytes | None = None, **how: Any) -> Bundle:
    made = tsa(by).stamp(over or signature(bundle), NOW, **how)
    stamps(bundle).append({"signedTimestamp": b64(made)})
    return bundle


def stamped(by: Authority, **how: Any) -> Bundle:
    """Return a bundle with one timestamp of an authority."""
    return add_stamp(instance().attest(PAYLOAD, timestamps=0), by, **how)


@pytest.mark.parametrize("places", [*itertools.permutations(range(3))], ids=str)
def test_certificates_come_in_any_order(places: tuple[int, ...]) -> None:
    order = [WHOLE.chain[place] for place in places]
    accepted(stamped(WHOLE, carried=order), root_with(WHOLE.chain))
    accepted(stamped(WHOLE), root_with(order))
    made = tsa(WHOLE).stamp(b"signature", NOW, carried=order)
    assert description.of_timestamp(made).time == NOW
    ordered = timestamp_token.in_order(made)
    assert ordered == timestamp_token.in_order(ordered)
    assert len(ordered) == len(made)


def test_other_bytes_are_not_ordered() -> None:
    assert timestamp_token.in_order(b"no response") == b"no response"


LISTED: dict[str, tuple[Authority, Chain]] = {
    "a self-signed leaf": (ALONE, ALONE.chain),
    "a leaf alone": (WHOLE, WHOLE.chain[:1]),
    "a leaf and an intermediate": (WHOLE, WHOLE.chain[:2]),
    "a root alone": (WHOLE, WHOLE.chain[2:]),
    "an intermediate alone": (WHOLE, WHOLE.chain[1:2]),
}


@pytest.mark.parametrize(("by", "chain"), LISTED.values(), ids=LISTED)
@pytest.mark.parametrize("log", ["v2", "v1", None, "v2 dsse"])
def test_root_may_list_a_part_of_the_chain(by: Authority, chain: Chain, log: Any) -> None:
    who = root_with(chain, **({"tlogs": []} if log is None else {}))
    bundle, other = (instance().attest(PAYLOAD, log=log, timestamps=0) for _ in range(2))
    accepted(add_stamp(bundle, by, carried=by.chain), who)
    assert NOT_THEN in refusal(add_stamp(other, by, b"another", carried=by.chain), who)


def test_file_and_log_entry_are_judged_beside_a_self_signed_authority() -> None:
    who = root_with(ALONE.chain)
    accepted(add_stamp(instance().sign_bytes(CONTENT, timestamps=0), ALONE), who)
    bundle = stamped(ALONE)
    flip_hash(bundle)
    assert "does not match the tree" in refusal(bundle, who)
    swapped = stamped(ALONE)
    entry(swapped).update(entry(instance().attest(PAYLOAD)))
    assert "of another signature" in refusal(swapped, who)


def test_response_may_leave_out_the_certificates_of_the_root() -> None:
    accepted(stamped(WHOLE, carried=()), root_with(WHOLE.chain))
    accepted(stamped(ALONE, carried=()), root_with(ALONE.chain))
    assert NOT_THEN in refusal(stamped(WHOLE, carried=()), root_with(WHOLE.chain[2:]))


AFTER_NOON = NOW.replace(hour=13)
ISSUING = make_authority("issuer", START, END, ROOT, STAMPING)
SIGNING = make_authority("code", START, END, ROOT, ExtendedKeyUsageOID.CODE_SIGNING, leaf=True)
LATE = make_authority("late", AFTER_NOON, END, WHOLE, STAMPING, leaf=True)
LATE_ALONE = make_authority("late", AFTER_NOON, END, None, STAMPING, leaf=True)
STRANGER = stranger().tsa.authority
MIXED = (STRANGER.certificate, *WHOLE.chain)

REFUSED: dict[str, tuple[Authority, Chain, Chain, str]] = {
    "another authority": (WHOLE, MIXED, ALONE.chain, NOT_THEN),
    "another leaf": (WHOLE, MIXED, STRANGER.chain[:1], NOT_THEN),
    "another root": (WHOLE, MIXED, STRANGER.chain[1:], NOT_THEN),
    "an issuer": (ISSUING, ISSUING.chain, ISSUING.chain, NOT_THEN),
    "an issuer as a leaf": (ISSUING, ISSUING.chain, ISSUING.chain[:1], NOT_THEN),
    "an issuer below a root": (ISSUING, ISSUING.chain, ISSUING.chain[1:], NOT_THEN),
    "another purpose": (SIGNING, SIGNING.chain, SIGNING.chain[:1], NOT_THEN),
    "another purpose below a root": (SIGNING, SIGNING.chain, SIGNING.chain[1:], NOT_THEN),
    "another purpose listed": (SIGNING, (), SIGNING.chain, "sigstore does not verify it"),
    "not yet valid": (LATE_ALONE, (), LATE_ALONE.chain, "no timestamp authority was trusted"),
    "not yet valid below a root": (LATE, LATE.chain, WHOLE.chain[2:], NOT_THEN),
}


@pytest.mark.parametrize(("by", "carried", "listed", "reason"), REFUSED.values(), ids=REFUSED)
def test_untrusted_authority_is_refused(
    by: Authority, carried: Chain, listed: Chain, reason: str
) -> None:
    bundle = stamped(by, carried=carried) if carried else stamped(by)
    assert reason in refusal(bundle, root_with(listed))


@pytest.mark.parametrize("by", [WHOLE, ALONE], ids=["whole", "alone"])
def test_hash_function_must_be_secure(by: Authority) -> None:
    who = root_with(by.chain)
    for function in (hashes.SHA384(), hashes.SHA512()):
        accepted(stamped(by, function=function, imprint=function.name), who)
    weak = stamped(by, function=hashes.SHA1())  # noqa: S303
    assert "signed with SHA-1, which is not secure" in refusal(weak, who)
    assert "uses SHA-1, which is not secure" in refusal(stamped(by, imprint="sha1"), who)


CROWD = [make_authority(f"{n}", START, END).certificate for n in range(33)]


@pytest.mark.parametrize(
    ("how", "error", "reason"),
    [
        ({"imprint": "sha3_256"}, UnsupportedError, "unsupported hash"),
        ({"function": hashes.SHA224()}, UnsupportedError, "unsupported signature algorithm"),
        ({"carried": CROWD}, TimestampError, "expected at most 32"),
    ],
    ids=["hash", "signature", "certificates"],
)
def test_unusual_response_is_not_read(how: Any, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        timestamp_token.read(tsa(ALONE).stamp(b"", NOW, **how))


@pytest.mark.parametrize("name", ["signer_infos", "signed_attrs"])
def test_response_without_a_signer_or_attributes_is_not_read(name: str) -> None:
    response = tsp.TimeStampResp.load(tsa(ALONE).stamp(b"signature", NOW))
    signed = response["time_stamp_token"]["content"]
    if name == "signer_infos":
        signed[name] = []
    else:
        signed["signer_infos"][0][name] = None
    with pytest.raises(TimestampError):
        timestamp_token.read(response.dump(force=True))


@pytest.mark.parametrize("listed", ["a self-signed leaf", "a root alone"])
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_changed_byte_is_refused_or_changes_neither_time_nor_signature(listed: str) -> None:
    by, chain = LISTED[listed]
    good = tsa(by).stamp(b"signature", NOW, carried=by.chain)
    root = root_with(chain).root
    assert root is not None
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1
        try:
            found = stamp(timestamp_token.read(bytes(changed)), b"signature", root)
        except (TimestampError, UnsupportedError):
            continue
        assert found.time == NOW
    for length in range(0, len(good), 7):
        with pytest.raises((TimestampError, UnsupportedError)):
            timestamp_token.read(good[:length])
