# SPDX-License-Identifier: Apache-2.0
"""REG1xx: the registry file itself, and the format that libvmaf needs."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from provenance.artifacts import limits, paths
from provenance.artifacts.documents.json_edit import Move
from provenance.artifacts.documents.strict_json import START
from provenance.artifacts.forms import FLAG, STRING, WHOLE, Form, filled, is_filled
from provenance.attestations import bundle as bundles
from provenance.evidence import expected_statements
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding, Fix, Severity
from provenance.gate.rules import digest_fields
from provenance.gate.rules.base import Rule
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.digest_fields import found_digest, how_to_write, is_digest, quoted
from provenance.gate.rules.lost_rows import undeclared
from provenance.gate.rules.misplaced import misplaced_model
from provenance.gate.rules.recovery_help import lost_field
from provenance.registry.registry import start_of
from provenance.registry.rows import INT8_MODES, MAX_ID, OTHER_MODES, Row, is_blank


def _is_digests(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_digest, value.values()))


def _is_id(value: Any) -> bool:
    if not is_filled(value) or len(value) > MAX_ID or is_blank(value) or value != value.strip():
        return False
    return not any(unicodedata.category(c) in _UNSEEN for c in value)


_UNSEEN: Final = ("Cc", "Cf", "Zl", "Zp")
"""The Unicode categories of characters that are invisible, end a line, or move the cursor."""

_MODES: Final = (
    f"{', '.join(INT8_MODES)} (the runtime opens the int8 variant), or {', '.join(OTHER_MODES)}"
)

_DIGEST: Final = Form[str]("a SHA-256 digest: 64 lower-case hex digits", is_digest)
_FORMS: Final[Mapping[str, Form[Any]]] = {
    "id": Form(
        f"a string of at most {MAX_ID} characters, with a letter or a digit, "
        "without control characters, and without leading or trailing blanks",
        _is_id,
    ),
    "kind": STRING,
    "onnx": filled("the name of a .onnx file", pattern=r"(?s).*\.onnx"),
    "sha256": _DIGEST,
    "int8_sha256": _DIGEST,
    "external_data_sha256": Form("an object of file names and SHA-256 digests", _is_digests),
    "opset": WHOLE,
    "smoke": FLAG,
    "quant_mode": Form(_MODES, lambda value: value in (*INT8_MODES, *OTHER_MODES)),
    "license": STRING,
    "license_url": STRING,
    "sigstore_bundle": Form(
        f"a path that ends in {bundles.SUFFIX}",
        lambda value: (
            isinstance(value, str) and (is_blank(value) or value.endswith(bundles.SUFFIX))
        ),
    ),
    "notes": STRING,
    "description": STRING,
}
"""The required form of each field in `provenance.artifacts.registry.FIELDS`."""


def is_malformed(field: str, value: Any) -> bool:
    """Return whether a field lacks the type or form that REG101 requires."""
    return field in _FORMS and not _FORMS[field].has(value)


_SHOWN: Final = 20
"""The maximum number of invalid entries that are reported one by one."""


def _required(case: Case, row: RowEvidence) -> tuple[str, ...]:
    """Return the fields that a row must have.

    In an index of another shape, digests are required only where the mapping reads them (REG112).
    A row may name its files in `files`, or have only an address.
    """
    entry = row.entry
    if case.evidence.registry.stock is None:
        return ("id",) if entry.files or "url" in entry.fields else ("id", "onnx")
    if "onnx" not in entry.fields and (entry.files or "url" in entry.fields):
        return ("id",)
    return ("id", "onnx", "sha256")


class RegistrySchema(Rule):
    """A row lacks a required field, or a field has the wrong type.

    ## What it does
    Checks the fields that this tool reads. `id`, `onnx` and `sha256` are required; a row may name
    its files in `files` instead, or have only a `url`. In an index of another shape, only `id` and
    a file or an address are required. Each field must have its type and form: an id must fit on
    one line, and `quant_mode` must be a word that decides whether the runtime opens the int8
    variant. Other fields are ignored.

    ## Why it matters
    A consumer that finds a number where it expects a digest skips the check, or crashes.

    ## Example
    ```json
    {"id": "vmaf_tiny", "onnx": "vmaf_tiny.onnx", "sha256": "ABC", "opset": "17"}
    ```

    ## How to fix
    Write the field as the message says. `provenance hash --write` fills in a digest that is `""`.
    It replaces the digest of other bytes only with `--accept ROW`, and never one of another
    algorithm (`md5:…`).
    """

    code = "REG101"
    slug = "registry-schema"
    looks_around = True
    scopes = (Scope.ROW, Scope.REGISTRY)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        registry = case.evidence.registry
        for file in registry.files if case.evidence.whole else ():
            for location, found in file.not_rows[:_SHOWN]:
                yield self.finding(
                    f"expected a row (an object), found {found}",
                    'Write the row as {"id": …, "onnx": …, "sha256": …}, or remove it.'
                    if registry.stock
                    else "Correct the entry, or exclude it in `rows` of the mapping.",
                    path=file.path,
                    row=f"#{location[-1]}",
                    position=start_of(file, location),
                )
            if len(file.not_rows) > _SHOWN:
                of = " of `models`" if registry.stock else ""
                yield self.finding(
                    f"{len(file.not_rows):,} entries{of} are not rows (objects)",
                    "Make sure that this file is a registry, and remove the entries that are not "
                    "rows.",
                    path=file.path,
                    position=start_of(file, file.not_rows[_SHOWN][0]),
                )

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        fields = row.entry.fields
        for name in _required(case, row):
            if name not in fields:
                called = row.called(name)
                message = _FORMS[name].missing(f"field `{called}`")
                help = self._missing_help(called, fields, digest=name == "sha256")
                lost = lost_field(case, row, name)
                found = lost or (misplaced_model(case, row) if name == "onnx" else None)
                if found:
                    message, help = message + found.said, found.help
                yield self.in_row(case, row, None, message, help)
        for name, form in _FORMS.items():
            if name not in fields or form.has(fields[name]):
                continue
            called = row.called(name)
            value, entry, help = fields[name], None, f"Correct `{called}`."
            lost = lost_field(case, row, name) if value is None else None
            if name == "external_data_sha256" and isinstance(value, dict):
                entry = next(key for key, each in value.items() if not is_digest(each))
                form, value = _DIGEST, value[entry]
            if "sha256" in name:
                is_object = name == "external_data_sha256" and entry is None
                help = how_to_write(row.label, value, is_object=is_object)
            of = f" of {entry[:100]!r}" if entry is not None else ""
            is_text = isinstance(value, str) and "sha256" not in name
            shown = quoted(value) if is_text else found_digest(value)
            message = form.instead(f"field `{called}`{of}", shown)
            if lost:
                message, help = message + lost.said, lost.help
            below = () if entry is None else (entry,)
            yield self.in_row(case, row, name, message, help, below=below)

    @staticmethod
    def _missing_help(name: str, fields: Mapping[str, Any], *, digest: bool) -> str:
        import difflib

        near = difflib.get_close_matches(name, [f for f in fields if f not in _FORMS])
        if near:
            return f"Did you mean `{name}` instead of `{near[0]}`?"
        return f'Add "{name}": "", then: provenance hash --write' if digest else f"Add `{name}`."


class DuplicateId(Rule):
    """Two rows have the same id.

    ## What it does
    Compares the ids of all rows.

    ## Why it matters
    A consumer asks for a model by its id. If two rows have the same id, it depends on the reader
    which one is used: one may be verified and the other loaded.

    ## Example
    ```json
    [{"id": "vmaf_tiny_v2", "onnx": "a.onnx"}, {"id": "vmaf_tiny_v2", "onnx": "b.onnx"}]
    ```

    ## How to fix
    Give each row a unique id, or remove the wrong row.
    """

    code = "REG102"
    slug = "duplicate-id"
    scopes = (Scope.REGISTRY,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        first: dict[str, Row] = {}
        registry = case.evidence.registry
        lost = [(one.row, one.renamed) for one in undeclared(case)]
        former = {now.text("id"): was for was, now in lost if now is not None}
        for facts in case.facts:
            row = facts.row
            identifier = row.text("id")
            if identifier is None:
                continue
            if identifier in first:
                same = first[identifier]
                line = registry.locate(same, "id").line
                yield self.in_row(
                    case,
                    facts,
                    "id",
                    f"the row at line {line} already has the id {identifier!r}",
                    f"Give the row of {former[identifier].onnx} its id back: "
                    f"{former[identifier].label!r}."
                    if identifier in former
                    else "Remove one of the two rows: both name the same file."
                    if row.onnx == same.onnx
                    else "Give each row a unique id.",
                )
            else:
                first[identifier] = row


class DuplicateKey(Rule):
    """An object in the registry contains the same key twice.

    ## What it does
    Looks for repeated keys in all objects of the registry.

    ## Why it matters
    JSON readers disagree: most take the last value, a text scan takes the first. A row with two
    values can be verified with one and loaded with the other.

    ## Example
    ```json
    {"id": "m", "onnx": "m.onnx", "license": "MIT", "license": "GPL-3.0-only"}
    ```

    ## How to fix
    Remove the wrong value.
    """

    code = "REG103"
    slug = "duplicate-key"
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        # This is checked even if only some rows are selected: the selection itself may be
        # ambiguous.
        registry = case.evidence.registry
        if not registry.repeated_keys:
            return
        labels = {(facts.row.source, facts.row.location): facts.label for facts in case.facts}
        for number, file in enumerate(registry.files):
            found = file.duplicates
            if file.repeated_keys and not found:
                found = (((file.repeated_keys[0],), START),)
            for path, position in found:
                above = (labels.get((number, path[:end])) for end in range(1, len(path)))
                yield self.finding(
                    f"the key `{str(path[-1])[:60]}` occurs twice in one object",
                    "Keep one of the two; readers disagree about which one counts.",
                    path=file.path,
                    row=next(filter(None, above), None),
                    position=position,
                )


class NotABareName(Rule):
    """`onnx` is not a bare file name.

    ## What it does
    Requires that `onnx` has no folder in it, if the configuration says `consumers = ["libvmaf"]`.

    ## Why it matters
    libvmaf joins the registry's folder and this name, and passes the result to
    `cosign verify-blob`. It refuses a name with a `/`, so it cannot verify such a row.

    ## Example
    ```json
    {"onnx": "weights/vmaf_tiny.onnx"}
    ```

    ## How to fix
    Move the model beside the registry and write its name. If libvmaf does not read this registry,
    remove it from `consumers`.
    """

    code = "REG104"
    slug = "not-a-bare-name"
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        name = row.entry.onnx if case.for_libvmaf else None
        if name is not None and "/" in name and outside(case, name) is None:
            yield self.in_row(
                case,
                row,
                "onnx",
                f"`onnx` is {name!r}, expected a bare file name",
                "Move the model beside the registry; libvmaf refuses a path.",
            )


class KeyOrder(Rule):
    """`sigstore_bundle` comes before `onnx` in a row.

    ## What it does
    Requires that `onnx` comes before `sigstore_bundle` in the text of each row, if the
    configuration says `consumers = ["libvmaf"]`.

    ## Why it matters
    libvmaf does not parse JSON: it scans for `"onnx"` and then for the next
    `"sigstore_bundle"`. In the other order it takes the bundle of the following row.

    ## Example
    ```json
    {"sigstore_bundle": "m.onnx.sigstore.json", "onnx": "m.onnx"}
    ```

    ## How to fix
    Move `sigstore_bundle` below `onnx`, as `provenance check --fix` does.
    """

    code = "REG105"
    slug = "key-order"
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        registry = case.evidence.registry
        order = [f for f in row.entry.fields if f in ("onnx", "sigstore_bundle")]
        if case.for_libvmaf and order == ["sigstore_bundle", "onnx"]:
            move = Move(row.entry.place("sigstore_bundle"), after="onnx")
            yield self.in_row(
                case,
                row,
                "sigstore_bundle",
                "`sigstore_bundle` comes before `onnx`",
                "Move it below `onnx`, where libvmaf scans the text for it.",
                fixes=(Fix(registry.path, move),),
            )


class TooLargeForConsumer(Rule):
    """The registry is too large for libvmaf.

    ## What it does
    Warns if the registry is 1 MiB or larger, if the configuration says `consumers = ["libvmaf"]`.

    ## Why it matters
    libvmaf reads less than 1 MiB. It does not see the rows after that.

    ## Example
    A registry of 1,500 rows with long notes.

    ## How to fix
    Shorten `notes`, or split the registry.
    """

    code = "REG106"
    slug = "too-large-for-consumer"
    severity = Severity.WARNING
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        registry = case.evidence.registry
        if case.for_libvmaf and registry.digest.size >= limits.CONSUMER_REGISTRY:
            yield self.finding(
                f"the registry is {registry.digest.size:,} bytes; libvmaf reads less than "
                f"{limits.CONSUMER_REGISTRY:,}",
                "Shorten `notes` and `description`, or split the registry.",
                path=registry.path,
            )


class OutsideRepository(Rule):
    """A path in a row leaves the repository, or is not a relative path.

    ## What it does
    Checks `onnx` and `sigstore_bundle`. Each must be a path relative to the registry's folder, with
    `/` as separator, without NUL, and below the folder of the configuration.

    ## Why it matters
    With a path like `../../../etc/passwd` the tool would hash a file outside the repository, and a
    release could overwrite it. No file outside the repository is ever opened.

    ## Example
    ```json
    {"onnx": "/models/vmaf.onnx", "sigstore_bundle": "../../../x.sigstore.json"}
    ```

    ## How to fix
    Write a path relative to the registry's folder that stays in the repository.
    """

    code = "REG107"
    slug = "outside-repository"
    looks_around = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for field in ("onnx", "sigstore_bundle"):
            value = row.entry.text(field)
            reason = outside(case, value) if value is not None else None
            if reason is not None:
                message = f"`{row.called(field)}` {str(value)[:100]!r} {reason}"
                help = "Write a path relative to the registry's folder, inside the repository."
                there = misplaced_model(case, row) if field == "onnx" else None
                if there:
                    message, help = message + there.said, there.help
                yield self.in_row(case, row, field, message, help)


class SharedBundlePath(Rule):
    """Two documents would be written to one path.

    ## What it does
    Computes the paths of each row's bundle, each seed's attestation and the release summary, and
    compares them with each other and with those of all models, sidecars and documents. Paths that
    differ only in case count as equal, because they are on macOS and Windows.

    ## Why it matters
    Each row has its own bundle. If two rows share a path, signing the second row overwrites the
    bundle of the first, and the first row is unsigned.

    ## Example
    ```json
    [{"onnx": "a.onnx", "sigstore_bundle": "x.sigstore.json"},
     {"onnx": "b.onnx", "sigstore_bundle": "x.sigstore.json"}]
    ```

    ## How to fix
    Name the bundle after the model: `<onnx>.sigstore.json`.
    """

    code = "REG108"
    slug = "shared-bundle-path"
    scopes = (Scope.REGISTRY,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        registry, summary = case.evidence.registry, case.evidence.summary
        named = summary.path if summary else expected_statements.summary_path(registry)
        others = {named: "the release summary"}
        others |= {d.path: "a document" for d in case.evidence.documents}
        files = {f.path: r.label for r in case.facts for f in (*r.model_files, *r.sidecars)}
        owner = {_folded(path): path for path in (*others, *files)}
        documents: dict[str, str] = {}
        models: set[str] = set()
        for row in case.facts:
            value, onnx, model = row.row.sigstore_bundle, row.row.onnx, row.onnx
            is_first = model is None or model.path not in models
            models |= {model.path} if model is not None else set()
            if value is None or outside(case, value) or is_malformed("sigstore_bundle", value):
                continue  # LIC203, REG107 or REG101 reports what is wrong with it
            places = [registry.absolute(value)]
            # Two rows with the same model are left to ART302 and ART313.
            if row.is_seed and onnx is not None and is_first:
                places.append(bundles.seed_attestation_path(registry.folder, onnx, value))
            for place in places:
                path = owner.setdefault(_folded(place), place)
                label = documents.setdefault(path, row.label)
                if path in files or path in others or label != row.label or places.count(place) > 1:
                    document = others.get(path, f"a document of row {label!r}")
                    other = f"a file of row {files[path]!r}" if path in files else document
                    where = "" if path == place else f" ({path!r}), if the disk ignores case"
                    yield self.in_row(
                        case,
                        row,
                        "sigstore_bundle",
                        f"{place!r} is also the path of {other}{where}",
                        f"Name the bundle after the model: {onnx}{bundles.SUFFIX}",
                    )
                    break


def _folded(path: str) -> str:
    """Return the path with its case folded.

    If nothing changes, the same object is returned, because thousands of paths are compared.
    """
    folded = path.casefold()
    return path if folded == path else folded


def outside(case: Case, value: str) -> str | None:
    """Return why a path of a row is refused without a look at the disk, or None if it is not."""
    reason = paths.unsafe_reason(value)
    if reason is not None:
        return reason
    if value.endswith(".onnx") and ".." in value.split("/"):
        return "climbs with '..'"
    return paths.refusal(case.evidence.registry.absolute(value))


RULES: Iterable[type[Rule]] = (
    RegistrySchema,
    DuplicateId,
    DuplicateKey,
    NotABareName,
    KeyOrder,
    TooLargeForConsumer,
    OutsideRepository,
    SharedBundlePath,
    *digest_fields.RULES,
)
