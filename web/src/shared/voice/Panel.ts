import i18n from '../i18n';
import { lazyPart } from '../lib/lazyPart';

/** The voices of a photo, as a part of its page; its code and messages are loaded when it is opened. */
export const VoicePanel = lazyPart(async () => {
  const [panel] = await Promise.all([import('./VoicePanel'), i18n.loadNamespaces('voice')]);
  return panel;
});
