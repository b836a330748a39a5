// SPDX-License-Identifier: Apache-2.0
//
// Signs files with sigstore-js, as a JavaScript publisher would.
//
// stdin: {jobs: [{artifact, bundle, statement}], signingConfig, token} or {jobs, privateKey, hint}.
// The bytes of each artifact are signed, or with `statement` put into a DSSE envelope, and the
// bundle is written to its path.

'use strict';

const { createPrivateKey, createPublicKey, sign } = require('node:crypto');
const { readFileSync, writeFileSync } = require('node:fs');
const { bundleToJSON } = require('@sigstore/bundle');
const { SigningConfig } = require('@sigstore/protobuf-specs');
const {
  DSSEBundleBuilder,
  MessageSignatureBundleBuilder,
  bundleBuilderFromSigningConfig,
} = require('@sigstore/sign');

const IN_TOTO = 'application/vnd.in-toto+json';

// The library has no signer for a key in a file, and an interface to bring one.
class KeySigner {
  constructor(pem, hint) {
    this.privateKey = createPrivateKey(pem);
    this.hint = hint;
  }

  async sign(data) {
    const publicKey = createPublicKey(this.privateKey).export({ format: 'pem', type: 'spki' });
    return {
      signature: sign('sha256', data, this.privateKey),
      key: { $case: 'publicKey', publicKey, hint: this.hint },
    };
  }
}

function builder({ signingConfig, token, privateKey, hint }, statement) {
  if (signingConfig) {
    return bundleBuilderFromSigningConfig({
      signingConfig: SigningConfig.fromJSON(JSON.parse(readFileSync(signingConfig, 'utf8'))),
      identityProvider: { getToken: async () => token },
      bundleType: statement ? 'dsseEnvelope' : 'messageSignature',
    });
  }
  const Builder = statement ? DSSEBundleBuilder : MessageSignatureBundleBuilder;
  const signer = new KeySigner(readFileSync(privateKey, 'utf8'), hint);
  return new Builder({ signer, witnesses: [] });
}

async function run(order) {
  await Promise.all(
    order.jobs.map(async ({ artifact, bundle, statement }) => {
      const data = readFileSync(artifact);
      const made = await builder(order, statement).create({ data, type: IN_TOTO });
      writeFileSync(bundle, JSON.stringify(bundleToJSON(made)));
    }),
  );
}

run(JSON.parse(readFileSync(0, 'utf8')));
