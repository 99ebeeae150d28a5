import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import Checkbox from '@mui/material/Checkbox';
import FormControlLabel from '@mui/material/FormControlLabel';
import FormGroup from '@mui/material/FormGroup';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import Typography from '@mui/material/Typography';
import { useState, type FormEvent } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useCreateKeyMutation, useListKeysQuery, useRevokeKeyMutation, type Scope } from '@/shared/api/generated';
import { problemOf } from '@/shared/api/problem';
import { useViewer } from '@/shared/api/viewer';
import { useFormats } from '@/shared/i18n/format';
import { useOnce } from '@/shared/lib/useOnce';
import { QueryView } from '@/shared/ui/StateView';
import { useErrorToast } from './errorToasts';
import { RemoveButton } from './RemoveButton';
import { useWithProof } from './Secure';
import { Section } from './Section';
import { Secret } from './Secret';

const SCOPES: readonly Scope[] = ['caption', 'images:read', 'images:write', 'bulk', 'webhooks', 'account'];
const STAFF_SCOPES: readonly Scope[] = [...SCOPES, 'models'];

const MAX_NAME_LENGTH = 120; // the API's limit

/** API keys: their permissions and when they were last used. */
export function KeysSection() {
  const { t } = useTranslation('account');
  const formats = useFormats();
  const viewer = useViewer();
  const keys = useListKeysQuery({});
  const [create, creating] = useCreateKeyMutation();
  const [revoke] = useRevokeKeyMutation();
  const labelOf = (scope: string) => t(`keys.scope.${scope.replace(':', '_')}`); // a colon would stand behind a namespace
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<Scope[]>(['caption', 'images:read', 'images:write']);
  const showError = useErrorToast();
  const withProof = useWithProof();
  const submit = useOnce(async () => {
    const result = await withProof(() => create({ keyIn: { name: name.trim(), scopes } }));
    if (!result.error) setName('');
  });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() && scopes.length > 0) submit();
  };
  return (
    <Section title={t('keys.title')} hint={t('keys.hint')}>
      <QueryView query={keys} loading={<Skeleton height={60} />}>
        {({ items }) => (
          <Stack component="ul" spacing={1} sx={{ listStyle: 'none', p: 0, m: 0, mb: 2 }}>
            {items.map((key) => (
              <Stack component="li" direction="row" spacing={2} key={key.id} sx={{ justifyContent: 'space-between', alignItems: 'center' }}>
                <div>
                  <Typography>
                    {key.name} <code>{key.prefix}…</code>
                  </Typography>
                  <Typography variant="body2" color="textSecondary">
                    {key.scopes.map(labelOf).join(', ')} ·{' '}
                    {key.last_used_at ? t('keys.used', { when: formats.relative(key.last_used_at) }) : t('keys.unused')}
                  </Typography>
                </div>
                {key.revoked_at ? (
                  <Typography variant="body2">{t('keys.revoked')}</Typography>
                ) : (
                  <RemoveButton
                    label={t('keys.revoke')}
                    question={t('keys.revokeQuestion', { name: key.name })}
                    consequence={t('keys.revokeConsequence')}
                    onConfirm={() => void revoke({ keyId: key.id }).then(showError)}
                  />
                )}
              </Stack>
            ))}
          </Stack>
        )}
      </QueryView>
      {creating.data ? <Secret label={t('keys.secret')} value={creating.data.key} /> : null}
      <Stack component="form" spacing={1.5} onSubmit={onSubmit} noValidate sx={{ maxWidth: 520 }}>
        <TextField
          label={t('keys.name')}
          value={name}
          slotProps={{ htmlInput: { maxLength: MAX_NAME_LENGTH } }}
          onChange={(event) => setName(event.target.value)}
        />
        <FormGroup row role="group" aria-label={t('keys.scopes')}>
          {(viewer?.isStaff ? STAFF_SCOPES : SCOPES).map((scope) => (
            <FormControlLabel
              key={scope}
              label={labelOf(scope)}
              control={
                <Checkbox
                  checked={scopes.includes(scope)}
                  onChange={(_, isOn) => setScopes(isOn ? [...scopes, scope] : scopes.filter((each) => each !== scope))}
                />
              }
            />
          ))}
        </FormGroup>
        {creating.error ? (
          <Alert severity="error" role="alert">
            {problemOf(creating.error).detail || t('error.failed')}
          </Alert>
        ) : null}
        <Button type="submit" variant="outlined" disabled={!name.trim() || scopes.length === 0} sx={{ alignSelf: 'flex-start' }}>
          {t('keys.create')}
        </Button>
      </Stack>
    </Section>
  );
}
