// SPDX-License-Identifier: Apache-2.0
//
// Verifies bundles with sigstore-js, as a JavaScript consumer would.
//
// stdin: a JSON array of {bundle, artifact} with either keys, DER public keys in base64 by hint, or
// trustedRoot, subject and issuer. stdout: a JSON array with null for an accepted artifact, or the
// reason of the refusal.
//
// sigstore-js verifies the signature of a DSSE bundle and looks at none of its subjects, so a
// consumer has to, and `checkSubject` does it here.

'use strict';

const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');

const NO_AUTHORITIES = {
  certificateAuthorities: [],
  timestampAuthorities: [],
  tlogs: [],
  ctlogs: [],
};
const NO_LOGS = { ctlogThreshold: 0, tlogThreshold: 0, tsaThreshold: 0 };

function checkSubject(envelope, artifact) {
  const { subject } = JSON.parse(Buffer.from(envelope.payload).toString('utf8'));
  const digest = createHash('sha256').update(artifact).digest('hex');
  if (!subject.some((s) => s.digest.sha256 === digest)) {
    throw new Error(`no subject has the digest ${digest}`);
  }
}

function verifier({ keys, trustedRoot }) {
  if (trustedRoot) {
    const root = TrustedRoot.fromJSON(JSON.parse(readFileSync(trustedRoot, 'utf8')));
    return new Verifier(toTrustMaterial(root));
  }
  const byHint = Object.fromEntries(
    Object.entries(keys).map(([hint, der]) => [hint, { rawBytes: pem(der) }]),
  );
  return new Verifier(toTrustMaterial(NO_AUTHORITIES, byHint), NO_LOGS);
}

// The library takes the subject for a pattern.
function policy({ subject, issuer }) {
  if (!subject) {
    return undefined;
  }
  const literal = subject.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return { subjectAlternativeName: `^${literal}$`, extensions: { issuer } };
}

function verify(job) {
  const bundle = bundleFromJSON(JSON.parse(readFileSync(job.bundle, 'utf8')));
  const artifact = readFileSync(job.artifact);
  verifier(job).verify(toSignedEntity(bundle, artifact), policy(job));
  if (bundle.content.$case === 'dsseEnvelope') {
    checkSubject(bundle.content.dsseEnvelope, artifact);
  }
}

// The library's key lookup makes a key of what Node reads by itself, which is PEM.
function pem(der) {
  return `-----BEGIN PUBLIC KEY-----\n${der}\n-----END PUBLIC KEY-----\n`;
}

function reasonOf(job) {
  try {
    verify(job);
    return null;
  } catch (error) {
    return `${error.code ?? error.name}: ${error.message}`;
  }
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(reasonOf)));
