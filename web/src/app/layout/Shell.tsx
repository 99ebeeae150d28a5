import Box from '@mui/material/Box';
import { Suspense, type ReactNode } from 'react';
import { useSelector } from 'react-redux';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { ErrorBoundary } from 'react-error-boundary';
import { useAddress } from '@/shared/lib/router';
import { lazyPart } from '@/shared/lib/lazyPart';
import { Announcer } from '@/shared/ui/Announcer';
import type { RootState } from '../store';
import { Crashed } from '../errors';
import { ConnectionBar } from './ConnectionBar';
import { Footer } from './Footer';
import { Header } from './Header';
import { PhoneNav } from './PhoneNav';

const Toasts = lazyPart(() => import('./ToastsWithUndo'));

/** The layout around every page. */
export function Shell({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  const { pathname } = useAddress();
  const hasToasts = useSelector((state: RootState) => state.toasts.items.length > 0);
  return (
    <>
      <Box
        component="a"
        href="#content"
        sx={{
          position: 'absolute',
          left: 8,
          top: '-9rem', // also out of sight when the text is enlarged
          zIndex: 'tooltip',
          bgcolor: 'background.paper',
          color: 'primary.main',
          p: 1.5,
          borderRadius: 1,
          '&:focus': { top: 8 },
        }}
      >
        {t('skip')}
      </Box>
      <Header />
      <PhoneNav />
      <ConnectionBar />
      {/* At least a screen high, so that the footer does not shift when the page's content arrives. */}
      <Box component="main" id="content" tabIndex={-1} sx={{ flex: 1, minHeight: '100dvh', display: 'flex', flexDirection: 'column', outline: 'none' }}>
        <Suspense fallback={null}>
          <ErrorBoundary FallbackComponent={Crashed} resetKeys={[pathname]}>
            {children}
          </ErrorBoundary>
        </Suspense>
      </Box>
      <Footer />
      {hasToasts ? (
        <Suspense fallback={null}>
          <Toasts />
        </Suspense>
      ) : null}
      <Announcer />
    </>
  );
}
