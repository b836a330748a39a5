# SPDX-License-Identifier: Apache-2.0
"""PIP0xx: the steps of the release, and the layout that prescribes them.

in-toto decides (`provenance.evidence.collect_pipeline`). These rules report its result, each cause
once, and check strictly what in-toto accepts unchecked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from provenance.artifacts.documents.strict_json import START
from provenance.artifacts.inventory import left_out_by
from provenance.attestations.layout_documents import link_name
from provenance.evidence.file_history import Change, Kind, changes
from provenance.evidence.pipeline import HERE, Link, PipelineEvidence, Standing, StepEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Rule, command, short, shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Phase, Scope

_COMMANDS: Final = {"check": "check", "sign": "release", "verify": "verify"}
_TEXTS: Final = (".json", ".toml")


def _anew(pipeline: PipelineEvidence) -> str:
    return command("layout", "--signer", "URI", "--output", pipeline.path)


class _PipelineRule(Rule):
    consumer_help = (
        "Do not use the release. Get it, its layout and its links again from the project's owner."
    )
    phase = Phase.PIPELINE
    scopes = (Scope.DOCUMENT,)
    about_rows = False

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        if case.evidence.pipeline is not None:
            yield from self.conclude(case.evidence.pipeline)

    def conclude(self, pipeline: PipelineEvidence) -> Iterable[Finding]:
        """Return the findings of this rule."""
        raise NotImplementedError


class LayoutMalformed(_PipelineRule):
    """The layout is not a valid in-toto layout.

    ## What it does
    Reads the layout strictly. It must be JSON without repeated keys, in a DSSE envelope, and of the
    type `layout`. It must have steps, each with a threshold of one or more, and list every key once
    under its own id.

    ## Why it matters
    A layout that readers interpret differently, or that requires nothing, proves nothing. in-toto
    itself accepts a layout without steps, and counts a key twice if it is listed under two ids.

    ## Example
    `--layout` names the link of a step instead of the layout.

    ## How to fix
    Use the layout that the project's owner published, or write one with `provenance layout`.
    """

    code = "PIP001"
    slug = "layout-malformed"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        if pipeline.malformed is not None:
            yield self.finding(
                f"{pipeline.path} is not a valid layout: {pipeline.malformed}",
                "Fetch the layout again from the project's owner, or write a new one: "
                + _anew(pipeline),
                path=pipeline.path,
            )


class LayoutUnsigned(_PipelineRule):
    """The layout lacks a valid signature by a key given with `--layout-key`.

    ## What it does
    Requires a valid signature by each key that `--layout-key` names. Otherwise the layout is not
    trusted, and no other rule about the pipeline is checked.

    ## Why it matters
    The layout decides whose work counts. Get the key from someone you trust, through a separate
    channel, and not from the place where the layout is.

    ## Example
    An attacker writes a layout with one step and signs it with their own key.

    ## How to fix
    Give the public key of the project's owner. If the layout was changed, fetch it again.
    """

    code = "PIP002"
    slug = "layout-unsigned"
    for_consumer = True

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for key in pipeline.unsigned:
            yield self.finding(
                f"{pipeline.path} is not signed by {key}, or was changed after it was signed",
                "Do not use it. Get the layout from the project's owner, and the public key "
                "through a separate channel: --layout-key owner.pub",
                path=pipeline.path,
            )


class LayoutExpired(_PipelineRule):
    """The layout has expired.

    ## What it does
    Compares the layout's `expires` with the time of this run, in UTC.

    ## Why it matters
    A layout is valid for a limited time, so that its owner reviews regularly who may do what. An
    expired layout may name people who have left.

    ## Example
    `expires` is `2026-11-01T00:00:00Z`, and today is 2 November.

    ## How to fix
    The owner writes and signs a new layout. Existing links stay as they are.
    """

    code = "PIP003"
    slug = "layout-expired"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        if pipeline.expired:
            yield self.finding(
                f"{pipeline.path} expired at {pipeline.expires}",
                f"Get the current layout; its owner signs a new one: {_anew(pipeline)}",
                path=pipeline.path,
            )


class LayoutRunsCommands(_PipelineRule):
    """The layout contains a command to run on the verifier's machine.

    ## What it does
    Refuses a layout with an inspection that runs anything but `true`. This tool never runs a
    command of a layout.

    ## Why it matters
    in-toto-verify runs the inspections of a layout in your folder, with your permissions. The
    inspection that `provenance layout` writes only compares files, which needs no command.

    ## Example
    An inspection `untar` runs `tar xf models.tar`.

    ## How to fix
    If you trust the owner with a shell on this machine, run `in-toto-verify` yourself. Otherwise
    ask for a layout without commands.
    """

    code = "PIP004"
    slug = "layout-runs-commands"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for found in pipeline.commands:
            yield self.finding(
                f"the inspection {shown(found.inspection, 40)} of {pipeline.path} would run "
                f"{shown(' '.join(found.words))}; it was not run, and its rules were not checked",
                "Ask the owner for a layout whose inspections run `true`, as `provenance layout` "
                "writes them.",
                path=pipeline.path,
            )


class LinkMalformed(_PipelineRule):
    """A link cannot be read, or is not the link of its step.

    ## What it does
    Reads each link by an authorized key strictly. It must be a regular file in the folder of the
    links, within the size limits, JSON without repeated keys, in a DSSE envelope, of the type
    `link`, and of the step that its file name gives.

    ## Why it matters
    in-toto does not compare the step inside a link with its file name. A renamed link of one step
    would count as another step by the same key.

    ## Example
    `check.4fa3bc21.link` is a copy of `export.4fa3bc21.link`.

    ## How to fix
    Repeat the step with `--link-dir`.
    """

    code = "PIP005"
    slug = "link-malformed"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for step in pipeline.steps:
            for link in step.links:
                if link.standing is Standing.MALFORMED:
                    yield self.finding(
                        f"{link.path} is not a valid link of the step `{step.name}`: {link.why}",
                        _do(step.name, pipeline),
                        path=link.path,
                    )


class StepMissing(_PipelineRule):
    """A step of the layout has no link.

    ## What it does
    Requires a link for each step of the layout.

    ## Why it matters
    Without the link there is no proof that the step, such as checking or verifying, was done.

    ## Example
    There are links of `export` and `sign`, but no link of `check`.

    ## How to fix
    Do the step and all later steps with `--link-dir`. If the step was done elsewhere, copy its link
    into the folder of the links.
    """

    code = "PIP006"
    slug = "step-missing"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for step in pipeline.steps:
            if not step.links:
                wanted = " or ".join(link_name(step.name, k) for k in step.authorized) or "any link"
                yield self.finding(
                    f"no link of the step `{step.name}`: expected {wanted} in {pipeline.links}",
                    _do(step.name, pipeline),
                    path=pipeline.path,
                    about=pipeline.links,
                )


class StepByAnother(_PipelineRule):
    """A step was done with a key that is not authorized for it.

    ## What it does
    Compares the key of each link with the keys that the layout authorizes for the step, and
    verifies the signature.

    ## Why it matters
    Anyone can do a step and sign a link for it. The layout decides whose links count.

    ## Example
    The layout authorizes the CI key for `check`, but the link is signed with a developer's key.

    ## How to fix
    Repeat the step with an authorized key. To authorize this key, the owner adds it to
    `[[layout.step]]` and signs a new layout.
    """

    code = "PIP007"
    slug = "step-by-another"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for step in pipeline.steps:
            wrong = [link for link in step.links if link.standing in _BY_ANOTHER]
            if step.counting or len(wrong) < len(step.links):
                continue
            for link in wrong:
                yield self.finding(
                    f"{link.path}: the step `{step.name}` was done {_by(link)}; "
                    f"authorized: {_keys(step)}",
                    _do(step.name, pipeline),
                    path=link.path,
                )


class StepTooFew(_PipelineRule):
    """Fewer authorized keys did a step than the layout requires.

    ## What it does
    Counts the links of a step that different authorized keys signed, and compares the number with
    the threshold of the layout.

    ## Why it matters
    With a threshold of two, no single person and no single stolen key can do the step alone.

    ## Example
    `sign` has a threshold of 2, but there is a link of one key only.

    ## How to fix
    Have another authorized person do the step as well, on the same files.
    """

    code = "PIP008"
    slug = "step-too-few"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for step in pipeline.steps:
            malformed = any(link.standing is Standing.MALFORMED for link in step.links)
            if step.counting and not step.done and not malformed:
                others = [link for link in step.links if link.standing in _BY_ANOTHER]
                more = "".join(f"; {link.path} is {_by(link)}" for link in others)
                yield self.finding(
                    f"the step `{step.name}` was done with {len(step.counting)} of "
                    f"{step.threshold} required keys; authorized: {_keys(step)}{more}",
                    f"Have it done with another of these keys as well, on the same files. "
                    f"{_do(step.name, pipeline)}",
                    path=pipeline.path,
                    about=pipeline.links,
                )


class StepDisputed(_PipelineRule):
    """The links of a step disagree about the files.

    ## What it does
    If a step has a threshold above one, compares the files in its links.

    ## Why it matters
    Two people who export the same models must get the same bytes. If they do not, one of them
    worked on other input, or the export is not reproducible.

    ## Example
    Two exports of one seed differ.

    ## How to fix
    Find out which link is right, and have all of them repeat the step from the same files.
    """

    code = "PIP009"
    slug = "step-disputed"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for step in pipeline.steps:
            if step.disputed:
                first, other, file, what = _disputed(step)
                yield self.finding(
                    f"{first.path} and {other.path} disagree about {file}, which the step "
                    f"`{step.name}` {what}",
                    "Have everyone repeat the step from the same files.",
                    path=other.path,
                    about=file,
                )


class _FileRule(_PipelineRule):
    """A rule about files that in-toto refused."""

    kind: Kind

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for change in changes(pipeline):
            if change.kind is self.kind:
                has_line = change.kind is not Kind.GONE and change.file.endswith(_TEXTS)
                yield self.finding(
                    self.message(change, pipeline),
                    _again(change, pipeline),
                    path=change.file,
                    position=START if has_line else None,
                )

    def message(self, change: Change, pipeline: PipelineEvidence) -> str:
        """Return what happened to the file."""
        raise NotImplementedError


class FileChanged(_FileRule):
    """A file changed where the layout does not allow it.

    ## What it does
    Follows each file that in-toto refuses through the steps. Each step must read what the previous
    step left, `check` and `verify` must change nothing, `sign` may only write bundles, and the
    present files must be those that `verify` saw.

    ## Why it matters
    The files that were checked, signed and verified must be those that were exported. If a file
    changes in between, the earlier steps did not see its present content.

    ## Example
    A seed is replaced after `check` and before `sign`.

    ## How to fix
    Find out who changed the file. Put it back, or repeat the steps from the first one that has not
    seen the change.
    """

    code = "PIP010"
    slug = "step-file-changed"
    kind = Kind.CHANGED

    def message(self, change: Change, pipeline: PipelineEvidence) -> str:
        why = (pipeline.unreadable or {}).get(change.file)
        if why is not None and change.after.step == HERE:
            return f"{change.file} cannot be compared with what `{change.before.step}` left: {why}"
        return (
            f"{change.file} changed {change.when}: {change.before} is {short(change.then)}, "
            f"{change.after} is {short(change.now)}"
        )


class FileAdded(_FileRule):
    """A file was added where the layout does not allow it.

    ## What it does
    Like `step-file-changed`, for a file that did not exist before.

    ## Why it matters
    A model added after `check` was never checked.

    ## Example
    An `.onnx` file is put into the registry's folder between `check` and `sign`.

    ## How to fix
    Find out who added the file. Remove it, or repeat the steps from the first one that has not seen
    it.
    """

    code = "PIP011"
    slug = "step-file-added"
    kind = Kind.ADDED

    def message(self, change: Change, pipeline: PipelineEvidence) -> str:
        return f"{change.file} was added {change.when}: it is not in {change.before}"


class FileGone(_FileRule):
    """A file is missing that the layout requires.

    ## What it does
    Like `step-file-changed`, for a file that no longer exists. The layout also lists the files that
    the registry named when the layout was written: they must exist.

    ## Why it matters
    If a model, a sidecar or a bundle is lost on the way, its license and its record are lost with
    it.

    ## Example
    A sidecar is removed after `verify`.

    ## How to fix
    Put the file back, or repeat the steps without it. If the registry has changed since, the owner
    writes a new layout.
    """

    code = "PIP012"
    slug = "step-file-gone"
    kind = Kind.GONE

    def message(self, change: Change, pipeline: PipelineEvidence) -> str:
        return f"{change.file} was removed {change.when}: it is in {change.before}"


class PipelineRefused(_PipelineRule):
    """in-toto refuses the pipeline for another reason.

    ## What it does
    Reports the message of in-toto if no other rule explains the failure, for example because the
    layout has rules that `provenance layout` does not write.

    ## Why it matters
    The result of in-toto counts, even if this tool cannot explain it.

    ## Example
    A layout requires a file that no step ever had.

    ## How to fix
    Compare the rules of the layout with the links: `in-toto-verify --verbose` shows both.
    """

    code = "PIP013"
    slug = "pipeline-refused"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        reported = {change.file for change in changes(pipeline)}
        for refusal in pipeline.refusals:
            unreported = [f for f in refusal.files if f not in reported]
            for file in unreported:
                reported.add(file)
                yield self.finding(
                    f"`{refusal.item}` of {pipeline.path} refuses {file}: "
                    f"{shown(' '.join(refusal.rule))}",
                    "Repeat the steps as the layout requires them, or have its owner write a new "
                    "one: " + _anew(pipeline),
                    path=file,
                )
        if pipeline.in_toto is not None and not reported and not _explained(pipeline):
            yield self.finding(
                f"in-toto refuses {pipeline.path}: {pipeline.in_toto}",
                "Compare the layout with the links: in-toto-verify --verbose shows both.",
                path=pipeline.path,
            )


class FileUnseen(_PipelineRule):
    """in-toto does not record a file of the release, because of its name.

    ## What it does
    Looks for files that in-toto excludes by name: `*.link*`, `.git`, `*.pyc`, `*~`, and everything
    below a folder with such a name. It checks the files that the registry names, those in the
    registry's folder, and those in the folders of the bundles. Links (`*.link`), `.git`, and files
    left behind by Python and editors are reported only if something names them.

    ## Why it matters
    A file that no link records can be changed, added or removed between two steps, and
    in-toto-verify still passes.

    ## Example
    A row has `"onnx": "m.link.onnx"`: neither the model nor its sidecar `m.link.json` is recorded.

    ## How to fix
    Rename the file and all references to it, or move it out of the folders of the release. Then
    repeat the steps.
    """

    code = "PIP014"
    slug = "step-file-unseen"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for file in pipeline.unseen:
            yield self.finding(
                f"{file} is part of the release, but no link can record it: in-toto excludes "
                f"`{left_out_by(file)}`",
                "Rename it and all references to it, or move it elsewhere, and begin again with "
                f"`{pipeline.steps[0].name}`, so that every step sees it.",
                path=file.removesuffix("/"),
                position=START if file.endswith(_TEXTS) else None,
            )


_BY_ANOTHER: Final = (Standing.UNAUTHORIZED, Standing.UNSIGNED)


def _explained(pipeline: PipelineEvidence) -> bool:
    """Return whether another rule reports why in-toto refuses the pipeline.

    FileUnseen never does, because in-toto does not see those files.
    """
    others = (rule() for rule in RULES if rule not in (PipelineRefused, FileUnseen))
    return any(True for rule in others for _ in rule.conclude(pipeline))


def _by(link: Link) -> str:
    if link.standing is Standing.UNSIGNED:
        return f"in the name of the key {link.key}, which did not sign these bytes"
    return f"by the key {link.key}, which is not authorized for it"


def _keys(step: StepEvidence) -> str:
    """Return the keys that are authorized for a step, for a message."""
    return "the key " + " or ".join(k[:8] for k in step.authorized) if step.authorized else "no key"


def _do(step: str, pipeline: PipelineEvidence) -> str:
    """Return the help that says how to do a step."""
    if step not in _COMMANDS:
        return f"Do the step `{step}` with --link-dir {pipeline.links}."
    words = (_COMMANDS[step], "--link-dir", pipeline.links, "--link-key", "file:NAME.key")
    return f"Do `{step}` and all later steps: {command(*words)}"


def _again(change: Change, pipeline: PipelineEvidence) -> str:
    step, first = change.after.step, pipeline.steps[0].name
    intended = f"If it is intended, begin again with `{first}`, so that every step sees it."
    if step == HERE:
        return f"{intended} Otherwise put back what was released."
    if change.within:
        return f"{intended} Otherwise put it back, and repeat `{step}` without touching it."
    return f"Find out who did that. {intended} Otherwise put it back. {_do(step, pipeline)}"


def _disputed(step: StepEvidence) -> tuple[Link, Link, str, str]:
    """Return two links that differ, the first file in which they do, and what the step did to it.

    The last is "read" or "left".
    """
    first, *others = step.counting
    for other in others:
        for what, ours, theirs in (
            ("read", first.materials, other.materials),
            ("left", first.products, other.products),
        ):
            ours, theirs = ours or {}, theirs or {}
            for file in sorted({*ours, *theirs}):
                if ours.get(file) != theirs.get(file):
                    return first, other, file, what
    raise AssertionError("links that in-toto finds to differ differ in a file")


RULES: Final = (
    LayoutMalformed,
    LayoutUnsigned,
    LayoutExpired,
    LayoutRunsCommands,
    LinkMalformed,
    StepMissing,
    StepByAnother,
    StepTooFew,
    StepDisputed,
    FileChanged,
    FileAdded,
    FileGone,
    PipelineRefused,
    FileUnseen,
)
