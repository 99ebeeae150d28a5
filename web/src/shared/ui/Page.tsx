import Container from '@mui/material/Container';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useEffect, useRef, type ReactNode } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useArrival } from '@/shared/lib/router';

interface PageProps {
  title: string;
  titleLang?: string; // if it differs from the page's
  lead?: ReactNode;
  actions?: ReactNode;
  hideTitle?: boolean; // visually; screen readers still get it
  width?: 'sm' | 'md' | 'lg' | 'xl';
  children: ReactNode;
}

// The first page of a visit does not move the focus; later pages focus their heading, so that keyboard and screen
// reader users start there. Only once per path: a loading state is also a Page.
let focusedPath = location.pathname;

const HIDDEN = { position: 'absolute', width: '1px', height: '1px', overflow: 'hidden', clipPath: 'inset(50%)' } as const;

/** The frame of a page: document title, h1 and width. */
export function Page({ title, titleLang, lead, actions, hideTitle = false, width = 'lg', children }: PageProps) {
  const { t } = useTranslation();
  const heading = useRef<HTMLHeadingElement>(null);
  const arrival = useArrival();
  useEffect(() => {
    document.title = title === t('app') ? title : `${title} · ${t('app')}`;
  }, [title, t]);
  useEffect(() => {
    if (location.pathname === focusedPath) return;
    focusedPath = location.pathname;
    heading.current?.focus({ preventScroll: true });
    if (arrival !== 'POP') scrollTo(0, 0); // on "back", the browser restores the scroll position
  }, [arrival]);
  return (
    <Container maxWidth={width} sx={{ py: { xs: 3, md: 5 }, flex: 1 }}>
      <Stack
        direction="row"
        spacing={2}
        useFlexGap
        sx={{ flexWrap: 'wrap', justifyContent: 'space-between', alignItems: 'flex-end', mb: hideTitle ? 0 : 3 }}
      >
        <div>
          <Typography variant="h1" lang={titleLang} ref={heading} tabIndex={-1} sx={hideTitle ? HIDDEN : { outline: 'none' }}>
            {title}
          </Typography>
          {lead ? (
            <Typography color="textSecondary" sx={{ mt: 1, maxWidth: '60ch', fontSize: '1.1rem' }}>
              {lead}
            </Typography>
          ) : null}
        </div>
        {actions}
      </Stack>
      {children}
    </Container>
  );
}

export const visuallyHidden = HIDDEN;
