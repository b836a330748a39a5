# SPDX-License-Identifier: Apache-2.0
"""Judging many certificates at once, on several cores, before the rules ask.

A judgement on a signature is a pure function of the bundle and the trust, and takes some
milliseconds of Python where a certificate made it. So threads do not help, and processes do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from provenance.attestations.bundle import Bundle, Envelope
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.signing import judging
from provenance.signing.judgement import Judgement
from provenance.signing.trust import Trust

if TYPE_CHECKING:
    from concurrent.futures import Future

Question: TypeAlias = tuple[Bundle, str | None]
"""A bundle, and the digest of the file that it is asked about."""

ENOUGH: Final = 200
"""Fewer are judged before another process has loaded what judging needs (about 0.7 s)."""

_CHUNK: Final = 20


def question(bundle: Bundle, artifact_sha256: str | None) -> Question:
    """What is asked of a bundle. An envelope carries what was signed, whatever the file."""
    return bundle, None if isinstance(bundle.content, Envelope) else artifact_sha256


def questions(evidence: Evidence) -> list[Question]:
    """What the rules will ask of every bundle in which a certificate signed."""
    asked: list[Question] = []
    for row in evidence.rows:
        digest = row.onnx.sha256 if row.onnx else None
        for document in (row.bundle, row.attestation):
            if document is not None:
                asked += (question(f.bundle, digest) for f in document.files if f.bundle)
    if evidence.summary is not None:
        asked += (question(f.bundle, None) for f in evidence.summary.files if f.bundle)
    return list(dict.fromkeys(q for q in asked if q[0].certificate is not None))


def judge(
    asked: Sequence[Question], trust: Trust, processes: int, progress: Progress
) -> dict[Question, Judgement]:
    """The judgement on each. This process judges too, from the front, until it meets the others.

    Processes are spawned and not forked: a fork in the presence of threads may hang.

    Raises:
        UnavailableError: There is no trusted root to judge a certificate by.
    """
    if processes < 2 or len(asked) < ENOUGH:
        return {}
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # Public keys cannot be sent to another process, and judge no certificate.
    sent = replace(trust, keys=())
    chunks = [asked[at : at + _CHUNK] for at in range(0, len(asked), _CHUNK)]
    progress.begin("judging signatures", len(asked))
    found: dict[Question, Judgement] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes - 1, context, _start, (sent,)) as pool:
        try:
            # The last chunk is submitted first, so that both ends are worked off.
            elsewhere: list[Future[list[Judgement]]] = [
                pool.submit(_judge_there, chunk) for chunk in reversed(chunks)
            ]
            for chunk, future in zip(chunks, reversed(elsewhere), strict=True):
                here = future.cancel()
                answers = _judge(chunk, sent) if here else future.result()
                found.update(zip(chunk, answers, strict=True))
                for _ in chunk:
                    progress.advance()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _judge(chunk: Sequence[Question], trust: Trust) -> list[Judgement]:
    return [judging.judge(bundle, trust, digest) for bundle, digest in chunk]


_sent: Trust | None = None


def _start(trust: Trust) -> None:
    """In another process: the trust comes once, and not with each chunk."""
    global _sent
    _sent = trust


def _judge_there(chunk: Sequence[Question]) -> list[Judgement]:
    assert _sent is not None
    return _judge(chunk, _sent)
