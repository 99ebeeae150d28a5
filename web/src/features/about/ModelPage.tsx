import Box from '@mui/material/Box';
import Link from '@mui/material/Link';
import Skeleton from '@mui/material/Skeleton';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import Markdown from 'react-markdown';
import remarkGfm from 'remark-gfm';
import { useGetModelCardQuery, useListModelsQuery, type PastModelOut } from '@/shared/api/generated';
import { useFormats } from '@/shared/i18n/format';
import { Page } from '@/shared/ui/Page';
import { QueryView } from '@/shared/ui/StateView';
import { AboutNav } from './AboutNav';

/** The model card of the model in use. The card's headings are nested below the page's. */
export default function ModelPage() {
  const { t } = useTranslation('about');
  const models = useListModelsQuery({});
  const card = useGetModelCardQuery({ model: 'default' });
  const model = models.data?.items.find((each) => each.is_default);
  return (
    <Page title={t('model.title')} lead={t('model.lead')} width="md">
      <AboutNav />
      <Typography sx={{ mb: 3 }}>
        {t('model.inUse')}: <strong>{model ? `${model.name}@${model.version}` : '…'}</strong>
      </Typography>
      {card.data?.past?.length ? <Past models={card.data.past} /> : null}
      <QueryView query={card} loading={<Skeleton variant="rounded" height={640} />}>
        {(data) =>
          data.card ? (
            <Box
              component="article"
              lang="en" // model cards are always in English
              tabIndex={0} // so that wide tables can be scrolled with the keyboard
              aria-label={t('model.title')}
              sx={{
                overflowX: 'auto',
                '& h2, & h3': { typography: 'h3', mt: 4, mb: 1 },
                '& table': { borderCollapse: 'collapse', my: 2 },
                '& h4': { typography: 'subtitle1', fontWeight: 600, mt: 3, mb: 1 },
                '& code': { fontSize: '0.9em', overflowWrap: 'anywhere' },
                '& th, & td': { borderBottom: 1, borderColor: 'divider', px: 1.5, py: 0.75, textAlign: 'right' },
                '& th:first-of-type, & td:first-of-type': { textAlign: 'left', pl: 0 },
                '& th': { color: 'text.secondary', fontWeight: 600 },
                '& p, & li': { maxWidth: '72ch' },
              }}
            >
              <Markdown
                remarkPlugins={[remarkGfm]}
                components={{
                  h1: ({ children }) => (
                    <Typography variant="h2" component="h2">
                      {children}
                    </Typography>
                  ),
                  h2: ({ children }) => <h3>{children}</h3>,
                  h3: ({ children }) => <h4>{children}</h4>,
                  a: ({ children, href }) => <Link href={href}>{children}</Link>,
                }}
              >
                {data.card}
              </Markdown>
            </Box>
          ) : (
            <Typography>{t('model.none')}</Typography>
          )
        }
      </QueryView>
    </Page>
  );
}

/** Which model wrote captions, from when on, and what it had learned; the newest first. */
function Past({ models }: { models: PastModelOut[] }) {
  const { t } = useTranslation('about');
  const formats = useFormats();
  return (
    <Box component="section" aria-labelledby="past" sx={{ mb: 4 }}>
      <Typography id="past" variant="h2" sx={{ mb: 1 }}>
        {t('model.past')}
      </Typography>
      <Box component="ol" reversed sx={{ m: 0, pl: 0, listStyle: 'none' }}>
        {models.map((model, place) => (
          <Box component="li" key={`${model.model} ${model.since}`} sx={{ borderTop: 1, borderColor: 'divider', py: 1.5 }}>
            <Typography>
              <strong>{model.model}</strong>
              {place === 0 ? ` · ${t('model.now')}` : null}
            </Typography>
            <Typography color="textSecondary">
              {model.since ? t('model.since', { when: formats.dateTime(model.since) }) : t('model.fromTheBeginning')}
              {model.parents.length > 0 ? ` · ${t('model.from', { parents: model.parents.join(', ') })}` : null}
            </Typography>
            {model.learned ? <Typography sx={{ overflowWrap: 'anywhere' }}>{t('model.learned', { what: model.learned })}</Typography> : null}
          </Box>
        ))}
      </Box>
    </Box>
  );
}
