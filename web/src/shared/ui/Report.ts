import i18n from '../i18n';
import { later } from '../lib/later';

/** The dialog, with its words: they come when it is opened. */
export const ReportDialog = later(async () => {
  const [dialog] = await Promise.all([import('./ReportDialog'), i18n.loadNamespaces('report')]);
  return dialog;
});
