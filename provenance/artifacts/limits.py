# SPDX-License-Identifier: Apache-2.0
"""Limits on what is read and reported. Every input may be hostile.

Sizes are in bytes. Each limit is far above what an honest file needs, and low enough that a hostile
file takes neither much memory nor minutes.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

NESTING = 48
"""Levels of JSON. protobuf, and so `in-toto-attestation`, accepts no deeper predicate."""

REGISTRY_NESTING = NESTING - 1
"""Levels of a registry: its rows are one level deeper in the statements that sign them."""

JSON_VALUES = 2_000_000
"""Values of one JSON file: 20 for each of `ROWS`. A value takes as little as 2 bytes in the file,
and up to 80 bytes of memory."""

TOML_KEY = 16
"""Names in a dotted TOML key or table header: `tomllib` takes quadratic time for them."""

TOML_BARE = 256
"""Characters of a bare key or a number. `tomllib` takes 100 bytes of memory for each digit."""

TOML_VALUES = 100_000
"""Keys and values of a TOML file. `tomllib` takes up to a kilobyte of memory for each."""

DEFERRALS = 10_000
"""Deferrals of a configuration."""

PATTERNS = 500
"""Patterns among the `rows` of all deferrals: each is matched against every row."""

GATES = 200
"""Gates of a configuration."""

GATE_VALUES = 1_000_000
"""Values of one document that the paths of all gates visit together: a second."""

TRUST_ENTRIES = 500
"""Trust entries of a configuration: each signature is compared with all of them."""

YAML_EVENTS = 20_000
"""Values, and starts and ends of lists and mappings, of a workflow: a second of parsing."""

YAML_ALIASES = 100
"""Aliases of a workflow: each can repeat most of the file."""

REGISTRY = 32 * MIB
"""The registry. A row takes about 1 KiB: room for 30,000 models."""

ENTRY = 256 * KIB
"""The entry of a row, as JSON: the bundle repeats it, and so does every copy of the bundle."""

INDEX = 4 * MIB
"""An index file in YAML or TOML, whose parsers take half a second for a megabyte."""

INDEX_FILES = 10_000
"""Index files of a registry."""

ROWS = 100_000
"""Rows of a registry."""

DOCUMENT = 4 * MIB
"""Sidecars, ensemble manifests, gate verdicts, configuration."""

BUNDLE = 16 * MIB
"""A bundle: the limit of the Sigstore clients."""

LINK = 64 * MIB
"""A link of a step: the names and digests of all files, twice. Room for 30,000 models."""

LAYOUT = 4 * MIB
"""A layout: keys, and rules that name files."""

LINK_FILES = 10_000
"""Files in a folder of links."""

KEY = 64 * KIB
"""A PEM file with one key."""

TOKEN = 64 * KIB
"""An identity token. Tokens are passed in HTTP headers."""

LICENSE = 256 * KIB
"""A license file. The longest license on the SPDX list has 40 KiB."""

GIT_CONFIG = 1 * MIB
"""`.git/config`: one section for each branch."""

SCHEMA = 1 * MIB
"""The JSON Schema of a registry."""

TRUSTED_ROOT = 4 * MIB
"""The trusted root of a Sigstore instance, or its client trust configuration."""

ONNX = 2048 * MIB
"""An ONNX file. protobuf cannot encode more; larger models keep weights in external data."""

ONNX_STRUCTURE = 16 * MIB
"""The parsed part of an ONNX file: opsets, inputs, outputs, names and locations of tensors."""

ONNX_FIELDS = 1_000_000
"""Fields of an ONNX file that are visited one by one (nodes, tensors): a few seconds."""

EXTERNAL_FILES = 10_000
"""External-data files of one model."""

EXTERNAL_FILES_OF_ROWS = 200_000
"""External-data files of all rows. A file that several rows need counts once for each. A statement
has room for the same number of subjects."""

TENSORS_OF_ROWS = 5_000_000
"""Inputs and outputs of the models of all rows, counted for each row: 50 times `ROWS`."""

SIDECARS_OF_ROWS = 256 * MIB
"""The sidecars of all rows, counted for each row: 8 KiB for each of 30,000 models."""

MEMBERS = 10_000
"""Members of one ensemble manifest: each is a model that is loaded with the others."""

CLIMB = 3
"""How many `..` steps a name in a release summary may start with."""

FOLDER_ENTRIES = 200_000
"""Files in one folder that is listed."""

WORKFLOW = 256 * KIB
"""One workflow."""

WORKFLOWS = 2 * MIB
"""All workflows of a repository that are read."""

WORKFLOW_FILES = 500
"""Number of workflows of a repository that are read."""

WITHDRAWN = 10_000
"""Withdrawn models of a project."""

GIT_TREE = 32 * MIB
"""One folder of a commit, as git lists it: about 500,000 files."""

CONSUMER_REGISTRY = 1 * MIB
"""The buffer into which the C consumer reads the registry."""

TIMESTAMP = 64 * KIB
"""An RFC 3161 timestamp with the certificates of its authority."""

LOG_ENTRY = 8 * MIB
"""The answer of a transparency log: an entry with its inclusion proof."""

FINDINGS = 100
"""Findings of one rule about one row, ensemble or file that are reported one by one. A file can
have the same defect a million times, but a person corrects only so many by hand."""

FINDINGS_OF_RULE = 10_000
"""Findings of one rule. Beyond that, the rule reports one for each row, ensemble or file."""

THINGS_OF_RULE = 5_000
"""Rows, ensembles and files that a rule reports one by one. All others share one finding: a report
that lists 100,000 rows without a license helps no reader and takes gigabytes."""

SUGGESTIONS = 100
"""Unknown licenses for which a similar known one is suggested. Each is compared with all 700."""

MESSAGE = 2_000
"""Characters of a message or a help. Quoted values may be of any length."""

RESULT = 256 * MIB
"""The result of one task from a worker process."""
