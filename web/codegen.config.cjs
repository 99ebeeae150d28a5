// What the app calls. The first page loads all of these, so whatever it does not call is left out.
const CALLED = [
  'listBulks', 'getBulk', 'cancelBulk', 'listBulkItems', 'pauseBulk', 'resumeBulk',
  'getAttention', 'rateCaption', 'unrateCaption', 'noteFeedback',
  'listImages', 'actOnImages', 'getImage', 'getSharedImage', 'changeImage', 'deleteImage', 'reportImage',
  'editCaption', 'listCaptions', 'requestCaptions', 'pickCaption', 'listVersions', 'restoreVersion',
  'cancelJob', 'retryJob', 'listModels', 'getModelCard', 'getStats',
  'getSession', 'getMe', 'changeMe', 'deleteMe', 'listKeys', 'createKey', 'revokeKey', 'revokeKeys',
  'listWebhooks', 'createWebhook', 'changeWebhook', 'deleteWebhook', 'testWebhook', 'listDeliveries', 'replayDelivery',
];

// What the voices of a photo call besides: loaded with them.
const CALLED_FOR_VOICES = ['aboutStyles', 'requestStyles', 'listStyles', 'getJob', 'listVoices', 'saveVoice', 'deleteVoice'];

// What the operators' page calls: loaded with it.
const CALLED_FOR_MODELS = ['getRegistry', 'listModelVersions', 'getModelVersion', 'promoteModel', 'rollBackModel', 'stopChallenger', 'setChallengerShares'];

// What finds photos that are alike: loaded with it.
const CALLED_FOR_LIKENESS = ['listSimilar', 'searchImages', 'listDuplicates'];

/** A client that is loaded with what calls it. */
const besides = (exportName, filterEndpoints, lazyQueries = false) => ({
  apiFile: './src/shared/api/generated.ts',
  apiImport: 'api',
  exportName,
  filterEndpoints,
  encodePathParams: true,
  hooks: { queries: true, lazyQueries, mutations: true },
});

/** @type {import('@rtk-query/codegen-openapi').ConfigFile} */
module.exports = {
  schemaFile: '../contracts/openapi.json',
  exportName: 'api',
  tag: true,
  outputFiles: {
    './src/shared/api/generated.ts': {
      apiFile: './src/shared/api/base.ts',
      apiImport: 'baseApi',
      filterEndpoints: CALLED,
      hooks: { queries: true, lazyQueries: false, mutations: true },
    },
    './src/shared/voice/generated.ts': besides('voiceApi', CALLED_FOR_VOICES, true),
    './src/shared/likeness/generated.ts': besides('likenessApi', CALLED_FOR_LIKENESS),
    './src/features/models/generated.ts': besides('modelsApi', CALLED_FOR_MODELS),
  },
};
