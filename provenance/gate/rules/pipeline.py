# SPDX-License-Identifier: Apache-2.0
"""PIP0xx: the steps by which the release came about, and the layout that says which they are.

in-toto decides (`provenance.evidence.collect_pipeline`). These rules say what it found, each cause
once, and are stricter where it believes what it reads.
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
        """The findings of this rule."""
        raise NotImplementedError


class LayoutMalformed(_PipelineRule):
    """The layout is none.

    ## What it does
    Reads the layout strictly: JSON without repeated keys, in a DSSE envelope, of the type `layout`,
    with steps, a threshold of one or more for each, and every key once, under its own id.

    ## Why it matters
    A layout that readers understand differently, or that asks for nothing, proves nothing. in-toto
    itself accepts a layout without steps, and counts a key that stands there under two ids twice.

    ## Example
    `--layout` is given the link of a step.

    ## How to fix
    Give the layout that the project's owner published, or write one with `provenance layout`.
    """

    code = "PIP001"
    slug = "layout-malformed"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        if pipeline.malformed is not None:
            yield self.finding(
                f"{pipeline.path} is no layout: {pipeline.malformed}",
                "Fetch the layout again from the project's owner, or write it anew: "
                + _anew(pipeline),
                path=pipeline.path,
            )


class LayoutUnsigned(_PipelineRule):
    """The layout is not signed by a key that was given.

    ## What it does
    Looks for a valid signature of each key that `--layout-key` names. Without one, nothing in the
    layout is believed and nothing else is judged by it.

    ## Why it matters
    Whoever writes the layout says whose work counts. The key has to come from somebody you trust,
    and not from beside the layout.

    ## Example
    An attacker writes a layout of one step and signs it with a key of their own.

    ## How to fix
    Give the public key of the project's owner. Where the layout was changed, fetch it again.
    """

    code = "PIP002"
    slug = "layout-unsigned"
    for_consumer = True

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for key in pipeline.unsigned:
            yield self.finding(
                f"{pipeline.path} is not signed by {key}, or was changed after it was signed",
                "Do not use it. Get the layout from the project's owner, and the key on another "
                "way: --layout-key owner.pub",
                path=pipeline.path,
            )


class LayoutExpired(_PipelineRule):
    """The layout has expired.

    ## What it does
    Compares the layout's `expires` with the time of this run, in UTC.

    ## Why it matters
    A layout counts for some time, so that its owner looks again at who may do what. A layout that
    is served after that may name somebody who left.

    ## Example
    `expires` is `2026-11-01T00:00:00Z`, and it is the second.

    ## How to fix
    The owner writes and signs the layout anew. Links that were made stay as they are.
    """

    code = "PIP003"
    slug = "layout-expired"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        if pipeline.expired:
            yield self.finding(
                f"{pipeline.path} expired at {pipeline.expires}",
                f"Get the layout that holds now; its owner signs it anew: {_anew(pipeline)}",
                path=pipeline.path,
            )


class LayoutRunsCommands(_PipelineRule):
    """The layout wants to run a command here.

    ## What it does
    Refuses a layout with an inspection that runs anything but `true`. No command of a layout is
    ever run by this tool.

    ## Why it matters
    in-toto-verify runs the inspections of a layout in your folder, with your rights. The inspection
    that `provenance layout` writes only has the files compared, for which nothing has to be run.

    ## Example
    An inspection `untar` runs `tar xf models.tar`.

    ## How to fix
    If you trust its owner with a shell on this machine, run `in-toto-verify` yourself. Else ask for
    a layout without commands.
    """

    code = "PIP004"
    slug = "layout-runs-commands"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for found in pipeline.commands:
            yield self.finding(
                f"the inspection {shown(found.inspection, 40)} of {pipeline.path} would run "
                f"{shown(' '.join(found.words))}; nothing was run, and its rules were not judged",
                "Ask the owner for a layout whose inspections run `true`, as `provenance layout` "
                "writes it.",
                path=pipeline.path,
            )


class LinkMalformed(_PipelineRule):
    """A link cannot be read, or is not the link of its step.

    ## What it does
    Reads each link of a key that may do the step, strictly: a regular file in the folder of the
    links, in bounds, JSON without repeated keys, in a DSSE envelope, of the type `link`, and of the
    step that its file name says.

    ## Why it matters
    in-toto does not compare the step in a link with the name of its file: the link of one step,
    renamed, would stand in for another by the same key.

    ## Example
    `check.4fa3bc21.link` is a copy of `export.4fa3bc21.link`.

    ## How to fix
    Do the step again with `--link-dir`.
    """

    code = "PIP005"
    slug = "link-malformed"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for step in pipeline.steps:
            for link in step.links:
                if link.standing is Standing.MALFORMED:
                    yield self.finding(
                        f"{link.path} is no link of the step `{step.name}`: {link.why}",
                        _do(step.name, pipeline),
                        path=link.path,
                    )


class StepMissing(_PipelineRule):
    """A step was not done.

    ## What it does
    Looks for a link of each step of the layout.

    ## Why it matters
    A release that nobody checked, or verified, looks like any other.

    ## Example
    There are links of `export` and `sign`, and none of `check`.

    ## How to fix
    Do the step, and all that follow it, with `--link-dir`. Where it was done, bring its link here.
    """

    code = "PIP006"
    slug = "step-missing"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for step in pipeline.steps:
            if not step.links:
                wanted = " or ".join(link_name(step.name, k) for k in step.authorized) or "any"
                yield self.finding(
                    f"the step `{step.name}` was not done: there is no {wanted} in "
                    f"{pipeline.links}",
                    _do(step.name, pipeline),
                    path=pipeline.path,
                    about=pipeline.links,
                )


class StepByAnother(_PipelineRule):
    """A step was done by somebody who may not do it.

    ## What it does
    Compares the key of each link with those that the layout names for the step, and judges its
    signature.

    ## Why it matters
    Anybody can do a step and sign that they did. The layout says whose word counts.

    ## Example
    `check` has to be done with the key of the CI, and was done with that of a developer.

    ## How to fix
    Have the step done by somebody who may. If this key is to count, the owner adds it to
    `[[layout.step]]` and signs the layout anew.
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
                    f"{link.path}: the step `{step.name}` was done {_by(link)}; the layout wants "
                    f"{_keys(step)}",
                    _do(step.name, pipeline),
                    path=link.path,
                )


class StepTooFew(_PipelineRule):
    """A step was done by fewer than have to do it.

    ## What it does
    Counts the links of a step that are signed by different keys which may do it, and compares with
    the threshold of the layout.

    ## Why it matters
    A threshold of two is there so that one person, or one stolen key, cannot do the step alone.

    ## Example
    `sign` has a threshold of 2, and there is the link of one key.

    ## How to fix
    Have the step done by another functionary too, on the same files.
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
                    f"the step `{step.name}` was done by {len(step.counting)} of those who may, "
                    f"and {step.threshold} have to: {_keys(step)}{more}",
                    f"Have it done by another of them too, on the same files. "
                    f"{_do(step.name, pipeline)}",
                    path=pipeline.path,
                    about=pipeline.links,
                )


class StepDisputed(_PipelineRule):
    """Those who did a step say different things about the files.

    ## What it does
    Where a step has a threshold above one, compares the files that its links name.

    ## Why it matters
    Two who export the same models have to come to the same bytes. If they do not, one of them
    worked on something else, or the export cannot be repeated.

    ## Example
    Two exports of one seed differ.

    ## How to fix
    Find out which of them is right, and have the step done again from the same files.
    """

    code = "PIP009"
    slug = "step-disputed"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for step in pipeline.steps:
            if step.disputed:
                first, other, file, what = _disputed(step)
                yield self.finding(
                    f"{first.path} and {other.path} do not agree on {file}, which the step "
                    f"`{step.name}` {what}",
                    "Have the step done again by all, from the same files.",
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
        """What became of the file."""
        raise NotImplementedError


class FileChanged(_FileRule):
    """A file changed where the layout does not let it.

    ## What it does
    Follows each file that in-toto refuses along the chain: what each step read is what the one
    before it left, `check` and `verify` change nothing, `sign` writes bundles and nothing else, and
    what lies here is what `verify` saw.

    ## Why it matters
    What was checked, signed and verified has to be what the export made. A file that changes in
    between was never seen by the steps before.

    ## Example
    A seed is replaced after `check` and before `sign`.

    ## How to fix
    Find out who changed it. Put the file back, or do the steps again from the first that has not
    seen it.
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
    """A file appeared where the layout does not let it.

    ## What it does
    As `step-file-changed`, for a file that was not there before.

    ## Why it matters
    A model that appears after `check` was checked by nobody.

    ## Example
    An `.onnx` file is put into the registry's folder between `check` and `sign`.

    ## How to fix
    Find out who added it. Remove it, or do the steps again from the first that has not seen it.
    """

    code = "PIP011"
    slug = "step-file-added"
    kind = Kind.ADDED

    def message(self, change: Change, pipeline: PipelineEvidence) -> str:
        return f"{change.file} appeared {change.when}: it is not in {change.before}"


class FileGone(_FileRule):
    """A file is gone that the layout wants to be there.

    ## What it does
    As `step-file-changed`, for a file that is not there any more. The layout also names the files
    that the rows of the registry named when it was written: they have to be here.

    ## Why it matters
    A model, a sidecar or a bundle that gets lost on the way takes its license and its record with
    it.

    ## Example
    A sidecar is removed after `verify`.

    ## How to fix
    Put it back, or do the steps again without it. Where the registry has changed since, the owner
    writes the layout anew.
    """

    code = "PIP012"
    slug = "step-file-gone"
    kind = Kind.GONE

    def message(self, change: Change, pipeline: PipelineEvidence) -> str:
        return f"{change.file} is gone since {change.before}: it was lost {change.when}"


class PipelineRefused(_PipelineRule):
    """in-toto refuses the pipeline for another reason.

    ## What it does
    Reports what in-toto says where none of the rules above does: rules of a layout that
    `provenance layout` did not write, for example.

    ## Why it matters
    in-toto's verdict counts, whether or not this tool can say it better.

    ## Example
    A layout requires a file that no step ever had.

    ## How to fix
    Compare the rules of the layout with what the links say; `in-toto-verify --verbose` shows both.
    """

    code = "PIP013"
    slug = "pipeline-refused"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        told = {change.file for change in changes(pipeline)}
        for refusal in pipeline.refusals:
            untold = [f for f in refusal.files if f not in told]
            for file in untold:
                told.add(file)
                yield self.finding(
                    f"`{refusal.item}` of {pipeline.path} refuses {file}: "
                    f"{shown(' '.join(refusal.rule))}",
                    "Do the steps again as the layout has them, or have its owner write it anew: "
                    + _anew(pipeline),
                    path=file,
                )
        if pipeline.in_toto is not None and not told and not _explained(pipeline):
            yield self.finding(
                f"in-toto refuses {pipeline.path}: {pipeline.in_toto}",
                "Compare the layout with the links: in-toto-verify --verbose shows both.",
                path=pipeline.path,
            )


class FileUnseen(_PipelineRule):
    """A file of the release can be in no link.

    ## What it does
    Looks for files that in-toto leaves out by their names, among those that the registry names and
    those that lie in its folder and in the folders of the bundles: `*.link*`, `.git`, `*.pyc`,
    `*~`, and what lies below a folder of such a name. Links themselves (`*.link`), `.git`, and
    what Python and editors leave behind are no finding where nothing names them.

    ## Why it matters
    What is in no link can change, appear or go away between two steps, and in-toto-verify passes.

    ## Example
    A row has `"onnx": "m.link.onnx"`: neither the model nor its sidecar `m.link.json` was recorded.

    ## How to fix
    Rename it, and what names it, or move it out of the folders of the release. Then do the steps
    again.
    """

    code = "PIP014"
    slug = "step-file-unseen"

    def conclude(self, pipeline: PipelineEvidence) -> Iterator[Finding]:
        for file in pipeline.unseen:
            yield self.finding(
                f"{file} is part of the release and can be in no link: in-toto leaves out "
                f"`{left_out_by(file)}`",
                "Rename it, and what names it, or move it elsewhere, and begin again with "
                f"`{pipeline.steps[0].name}`, so that every step sees it.",
                path=file.removesuffix("/"),
                position=START if file.endswith(_TEXTS) else None,
            )


_BY_ANOTHER: Final = (Standing.UNAUTHORIZED, Standing.UNSIGNED)


def _explained(pipeline: PipelineEvidence) -> bool:
    """Whether another rule says why in-toto refuses, which it never does for what it cannot see."""
    others = (rule() for rule in RULES if rule not in (PipelineRefused, FileUnseen))
    return any(True for rule in others for _ in rule.conclude(pipeline))


def _by(link: Link) -> str:
    if link.standing is Standing.UNSIGNED:
        return f"in the name of the key {link.key}, which did not sign these bytes"
    return f"by the key {link.key}, who may not do it"


def _keys(step: StepEvidence) -> str:
    """Who may do a step."""
    return "the key " + " or ".join(k[:8] for k in step.authorized) if step.authorized else "nobody"


def _do(step: str, pipeline: PipelineEvidence) -> str:
    """How a step is done."""
    if step not in _COMMANDS:
        return f"Do the step `{step}` with --link-dir {pipeline.links}."
    words = (_COMMANDS[step], "--link-dir", pipeline.links, "--link-key", "file:NAME.key")
    return f"Do `{step}`, and what follows it: {command(*words)}"


def _again(change: Change, pipeline: PipelineEvidence) -> str:
    step, first = change.after.step, pipeline.steps[0].name
    meant = f"If it is meant, begin again with `{first}`, so that every step sees it."
    if step == HERE:
        return f"{meant} Else put back what was released."
    if change.within:
        return f"{meant} Else put it back, and do `{step}` again in a way that leaves it alone."
    return f"Find out who did that. {meant} Else put it back. {_do(step, pipeline)}"


def _disputed(step: StepEvidence) -> tuple[Link, Link, str, str]:
    """Two links that differ, the first file that they differ in, and what the step did to it."""
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
