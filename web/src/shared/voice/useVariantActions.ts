import { useTranslation } from '@/shared/i18n/useTranslation';
import { api, useEditCaptionMutation, useNoteFeedbackMutation, usePickCaptionMutation, useRestoreVersionMutation } from '../api/generated';
import { problemOf } from '../api/problem';
import { copyText } from '../lib/clipboard';
import { useOnce } from '../lib/useOnce';
import type { StyledOut } from './voice';

interface Target {
  imageId: string;
  caption: StyledOut | null; // null: not kept
  text: string;
  isEdited: boolean;
  say: (text: string) => void;
}

/** What can be done with a caption in a voice: use it, take that back, copy it. */
export function useVariantActions({ imageId, caption, text, isEdited, say }: Target) {
  const { t } = useTranslation('voice');
  const [pick] = usePickCaptionMutation();
  const [edit] = useEditCaptionMutation();
  const [restore] = useRestoreVersionMutation();
  const [versions] = api.endpoints.listVersions.useLazyQuery();
  const [note] = useNoteFeedbackMutation();
  const tell = ({ error }: { error?: unknown }, done: string, failed: string) => say(error ? problemOf(error).detail || failed : done);

  const use = useOnce(async () => {
    if (!caption) return;
    const result = isEdited
      ? await edit({ imageId, textIn: { text, caption: caption.id } })
      : await pick({ imageId, captionId: caption.id });
    tell(result, t('used'), t('useFailed'));
  });
  const undo = useOnce(async () => {
    const { data } = await versions({ imageId, limit: 2 });
    const [newest, before] = data?.items ?? [];
    if (!before || newest?.text !== text) {
      say(t('undoFailed'));
      return;
    }
    tell(await restore({ imageId, number: before.number }), t('undone'), t('undoFailed'));
  });
  const copy = (words: string, done: string, hashtags: boolean) =>
    void copyText(words).then((isCopied) => {
      say(isCopied ? done : t('copyFailed'));
      if (isCopied && caption) void note({ feedbackIn: { events: [{ kind: 'copy', caption: caption.id, hashtags }] } });
    });
  return { use, undo, copy };
}
