import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import type { ReactNode } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link } from '@/shared/lib/router';
import { problemOf, type Problem } from '../api/problem';

interface MessageProps {
  title: string;
  hint?: string;
  children?: ReactNode;
  role?: 'alert' | 'status';
}

/** Says why there is nothing to show and what to do about it. */
export function Message({ title, hint, children, role }: MessageProps) {
  return (
    <Stack role={role} spacing={1.5} sx={{ alignItems: 'center', textAlign: 'center', py: { xs: 6, md: 10 }, px: 2 }}>
      <Typography variant="h2" component="p">
        {title}
      </Typography>
      {hint ? (
        <Typography color="textSecondary" sx={{ maxWidth: '46ch' }}>
          {hint}
        </Typography>
      ) : null}
      {children}
    </Stack>
  );
}

export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { t } = useTranslation();
  const problem: Problem = problemOf(error);
  if (problem.status === 404 || problem.status === 410) {
    return (
      <Message title={t('state.notFound')} hint={t('state.notFoundHint')}>
        <Button component={Link} to="/" variant="outlined">
          {t('state.home')}
        </Button>
      </Message>
    );
  }
  if (problem.status === 401 || problem.status === 403) {
    return (
      <Message title={t('state.forbidden')} hint={problem.detail || t('state.forbiddenHint')}>
        <Button component={Link} to="/account/sign-in" variant="outlined">
          {t('nav.signIn')}
        </Button>
      </Message>
    );
  }
  const isOffline = problem.status === 0;
  return (
    <Message
      role="alert"
      title={isOffline ? t('state.offline') : t('state.failed')}
      hint={isOffline ? t('state.offlineHint') : [problem.detail, problem.hint].filter(Boolean).join(' ')}
    >
      {onRetry ? (
        <Button onClick={onRetry} variant="outlined">
          {t('state.retry')}
        </Button>
      ) : null}
    </Message>
  );
}

interface Query<T> {
  data?: T; // of the previous arguments, until the current query is answered
  currentData?: T;
  error?: unknown;
  isFetching: boolean;
  refetch: () => unknown;
}

interface QueryViewProps<T> {
  query: Query<T>;
  loading: ReactNode; // a skeleton of the same size as the content, so that nothing shifts
  empty?: ReactNode;
  isEmpty?: (data: T) => boolean;
  children: (data: T) => ReactNode;
}

/** Render each state of a query: loading, failed (offline, forbidden, not found ...), empty, ready. */
export function QueryView<T>({ query, loading, empty, isEmpty, children }: QueryViewProps<T>) {
  const hasFailed = Boolean(query.error) && !query.isFetching && query.currentData === undefined;
  if (query.data !== undefined && !hasFailed) {
    if (empty !== undefined && isEmpty?.(query.data)) return <>{empty}</>;
    return <>{children(query.data)}</>;
  }
  if (hasFailed) {
    return <Failure error={query.error} onRetry={() => void query.refetch()} />;
  }
  return <>{loading}</>;
}
