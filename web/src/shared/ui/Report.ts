import i18n from '../i18n';
import { lazyPart } from '../lib/lazyPart';

/** The report dialog; its code and messages are loaded when it is opened. */
export const ReportDialog = lazyPart(async () => {
  const [dialog] = await Promise.all([import('./ReportDialog'), i18n.loadNamespaces('report')]);
  return dialog;
});
