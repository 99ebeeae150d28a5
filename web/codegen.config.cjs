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

/** @type {import('@rtk-query/codegen-openapi').ConfigFile} */
module.exports = {
  schemaFile: '../contracts/openapi.json',
  apiFile: './src/shared/api/base.ts',
  apiImport: 'baseApi',
  outputFile: './src/shared/api/generated.ts',
  exportName: 'api',
  filterEndpoints: CALLED,
  hooks: { queries: true, lazyQueries: false, mutations: true },
  tag: true,
};
