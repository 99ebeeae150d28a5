import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useCallback, useEffect, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useFormats } from '@/shared/i18n/format';
import { request } from './allauth';
import { deviceOf } from './device';
import { useRefusalToast } from './errorToasts';
import { Section } from './Section';

interface Session {
  id: number;
  user_agent: string;
  ip: string;
  created_at: number;
  last_seen_at?: number;
  is_current: boolean;
}

/** The active sessions, which can be ended. */
export function SessionsSection() {
  const { t } = useTranslation('account');
  const formats = useFormats();
  const showRefusal = useRefusalToast();
  const [sessions, setSessions] = useState<Session[]>([]);
  const load = useCallback(() => {
    void request<Session[]>('GET', '/auth/sessions').then((answer) => {
      if (answer.status === 200) setSessions(answer.data);
    });
  }, []);
  useEffect(load, [load]);
  const nameOf = (session: Session) => {
    const device = deviceOf(session.user_agent);
    return device ? t('sessions.device', device) : session.user_agent;
  };
  const end = async (ids: number[]) => {
    const answer = await request('DELETE', '/auth/sessions', { sessions: ids });
    if (answer.status !== 200) showRefusal(answer);
    load();
  };
  const others = sessions.filter((session) => !session.is_current);
  return (
    <Section title={t('sessions.title')}>
      <Stack component="ul" spacing={1.5} sx={{ listStyle: 'none', p: 0, m: 0 }}>
        {sessions.map((session) => (
          <Stack component="li" direction="row" spacing={2} key={session.id} sx={{ alignItems: 'center', justifyContent: 'space-between' }}>
            <div>
              <Typography sx={{ overflowWrap: 'anywhere' }}>{nameOf(session)}</Typography>
              <Typography variant="body2" color="textSecondary">
                {session.ip} · {formats.relative(new Date((session.last_seen_at ?? session.created_at) * 1000))}
              </Typography>
            </div>
            {session.is_current ? (
              <Typography variant="body2" sx={{ whiteSpace: 'nowrap' }}>
                {t('sessions.this')}
              </Typography>
            ) : (
              <Button size="small" color="error" onClick={() => void end([session.id])}>
                {t('sessions.end')}
              </Button>
            )}
          </Stack>
        ))}
      </Stack>
      {others.length > 1 ? (
        <Button variant="outlined" sx={{ mt: 2 }} onClick={() => void end(others.map((session) => session.id))}>
          {t('sessions.endOthers')}
        </Button>
      ) : null}
    </Section>
  );
}
