# SPDX-License-Identifier: Apache-2.0
"""How much is read, and what is said of it. All that is read is hostile until shown otherwise.

Sizes are bytes. Each is far above what an honest file needs, and small enough that a hostile one
costs neither memory nor minutes.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

NESTING = 48
"""Levels of JSON. protobuf, and with it `in-toto-attestation`, takes no predicate deeper."""

REGISTRY_NESTING = NESTING - 1
"""Levels of a registry: its rows are one level deeper in the statements that sign them."""

JSON_VALUES = 2_000_000
"""Values of one JSON file: 20 for each of `ROWS`. Each takes up to 80 bytes of memory, for two in
the file."""

TOML_KEY = 16
"""Names in a dotted TOML key or table header: `tomllib` takes quadratic time for them."""

TOML_BARE = 256
"""Characters of a bare key or a number. For each digit `tomllib` takes 100 bytes of memory."""

TOML_VALUES = 100_000
"""Keys and values of a TOML file. `tomllib` takes up to a kilobyte of memory for one."""

DEFERRALS = 10_000
"""Deferrals of a configuration."""

PATTERNS = 500
"""Patterns among the `rows` of all deferrals: each is matched with every row."""

TRUST_ENTRIES = 500
"""Trust entries of a configuration: a signature is compared with each."""

YAML_EVENTS = 20_000
"""Values, and starts and ends of lists and mappings, of a workflow: about a second of parsing."""

YAML_ALIASES = 100
"""Aliases of a workflow: each can stand for most of it."""

REGISTRY = 32 * MIB
"""A row takes about 1 KiB: room for 30,000 models."""

ROWS = 100_000
"""Rows of a registry."""

DOCUMENT = 4 * MIB
"""Sidecars, ensemble manifests, gate verdicts, configuration."""

BUNDLE = 16 * MIB
"""What the Sigstore clients accept as a bundle."""

LINK = 64 * MIB
"""A link of a step: the names and digests of all files, twice. Room for 30,000 models."""

LAYOUT = 4 * MIB
"""A layout: keys, and rules that name files."""

LINK_FILES = 10_000
"""Files in a folder of links."""

KEY = 64 * KIB
"""A PEM file with one key."""

TOKEN = 64 * KIB
"""An identity token; they are passed in HTTP headers."""

LICENSE = 256 * KIB
"""A license file. The longest license on the SPDX list has 40 KiB."""

GIT_CONFIG = 1 * MIB
"""`.git/config`: a section a branch."""

SCHEMA = 1 * MIB
"""The JSON Schema of a registry."""

TRUSTED_ROOT = 4 * MIB
"""The trusted root of a Sigstore instance, or its client trust configuration."""

ONNX = 2048 * MIB
"""protobuf cannot encode a larger message; larger models keep weights in external data."""

ONNX_STRUCTURE = 16 * MIB
"""What is parsed of an ONNX file: opsets, inputs, outputs, names and places of tensors."""

ONNX_FIELDS = 1_000_000
"""Fields of an ONNX file that are walked one by one: nodes and tensors, a few seconds."""

EXTERNAL_FILES = 10_000
"""External-data files of one model."""

EXTERNAL_FILES_OF_ROWS = 200_000
"""External-data files of all rows; one that several rows need counts for each. A statement has room
for as many subjects."""

TENSORS_OF_ROWS = 5_000_000
"""Inputs and outputs of the models of all rows, counted for each row: 50 for each of `ROWS`."""

SIDECARS_OF_ROWS = 256 * MIB
"""The sidecars of all rows, counted for each row: 8 KiB for each of 30,000 models."""

MEMBERS = 10_000
"""Members of one ensemble manifest: each is a model that is loaded beside the others."""

CLIMB = 3
"""Folders above that of a registry, as far as the names in a release summary may climb."""

FOLDER_ENTRIES = 200_000
"""Files in one folder that is searched for strays."""

WORKFLOW = 256 * KIB
"""One workflow."""

WORKFLOWS = 2 * MIB
"""All workflows of a repository that are looked into."""

WORKFLOW_FILES = 500
"""Workflows of a repository that are looked into."""

GIT_TREE = 32 * MIB
"""One folder of a commit, as git lists it: about 500,000 files."""

CONSUMER_REGISTRY = 1 * MIB
"""The C consumer reads the registry into a buffer of this size."""

TIMESTAMP = 64 * KIB
"""An RFC 3161 timestamp with the certificates of its authority."""

LOG_ENTRY = 8 * MIB
"""What a transparency log answers: an entry, and the way to the root of its tree."""

FINDINGS = 100
"""Findings of one rule about one row, ensemble or file that are reported one by one. A file can
have one defect a million times, and a person corrects no more than that by hand."""

FINDINGS_OF_RULE = 10_000
"""Findings of one rule, from which on it reports one about each row, ensemble or file."""

THINGS_OF_RULE = 5_000
"""Rows, ensembles and files that a rule reports one by one. All others share one finding:
a report of 100,000 rows without a license helps no reader, and takes gigabytes."""

SUGGESTIONS = 100
"""Different unknown licenses for which the nearest known one is looked for: each is compared with
all 700."""

MESSAGE = 2_000
"""Characters of a message or a help. What they quote may be of any length."""

RESULT = 256 * MIB
"""What another process may say of the rows of one task."""
