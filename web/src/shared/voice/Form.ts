import i18n from '../i18n';
import { lazyPart } from '../lib/lazyPart';

/** All choices of a voice, as a part of another form; its code and messages are loaded when it is shown. */
export const VoiceForm = lazyPart(async () => {
  const [{ VoiceForm }] = await Promise.all([import('./VoiceForm'), i18n.loadNamespaces('voice')]);
  return { default: VoiceForm };
});
