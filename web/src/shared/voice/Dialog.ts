import i18n from '../i18n';
import { lazyPart } from '../lib/lazyPart';

/** The voices of a photo, in a dialog; its code and messages are loaded when it is opened. */
export const VoiceDialog = lazyPart(async () => {
  const [dialog] = await Promise.all([import('./VoiceDialog'), i18n.loadNamespaces(['voice', 'photo'])]);
  return dialog;
});
