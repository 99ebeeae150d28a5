import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import Typography from '@mui/material/Typography';
import { useState, type FormEvent } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import {
  useChangeWebhookMutation,
  useCreateWebhookMutation,
  useDeleteWebhookMutation,
  useListDeliveriesQuery,
  useListWebhooksQuery,
  useReplayDeliveryMutation,
  useTestWebhookMutation,
  type WebhookOut,
} from '@/shared/api/generated';
import { problemOf } from '@/shared/api/problem';
import { useFormats } from '@/shared/i18n/format';
import { useOnce } from '@/shared/lib/useOnce';
import { QueryView } from '@/shared/ui/StateView';
import { useErrorToast } from './errorToasts';
import { Secret } from './Secret';
import { RemoveButton } from './RemoveButton';
import { useWithProof } from './Secure';
import { Section } from './Section';

/** Webhooks and their deliveries. */
export function WebhooksSection() {
  const { t } = useTranslation('account');
  const webhooks = useListWebhooksQuery({});
  const [create, creating] = useCreateWebhookMutation();
  const [url, setUrl] = useState('');
  const withProof = useWithProof();
  const submit = useOnce(async () => {
    const result = await withProof(() => create({ webhookIn: { url: url.trim() } }));
    if (!result.error) setUrl('');
  });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (url.trim()) submit();
  };
  return (
    <Section title={t('webhooks.title')} hint={t('webhooks.hint')}>
      <QueryView query={webhooks} loading={<Skeleton height={60} />}>
        {({ items }) => (
          <Stack component="ul" spacing={2} sx={{ listStyle: 'none', p: 0, m: 0, mb: 2 }}>
            {items.map((webhook) => (
              <Webhook key={webhook.id} webhook={webhook} />
            ))}
          </Stack>
        )}
      </QueryView>
      {creating.data ? <Secret label={t('webhooks.secret')} value={creating.data.secret} /> : null}
      <Stack component="form" direction={{ xs: 'column', sm: 'row' }} spacing={1.5} onSubmit={onSubmit} noValidate sx={{ maxWidth: 620 }}>
        <TextField
          type="url"
          label={t('webhooks.url')}
          value={url}
          error={Boolean(creating.error)}
          helperText={creating.error ? problemOf(creating.error).detail || t('error.failed') : undefined}
          onChange={(event) => setUrl(event.target.value)}
        />
        <Button type="submit" variant="outlined" disabled={!url.trim()} sx={{ alignSelf: 'flex-start', flexShrink: 0 }}>
          {t('webhooks.create')}
        </Button>
      </Stack>
    </Section>
  );
}

function Webhook({ webhook }: { webhook: WebhookOut }) {
  const { t } = useTranslation('account');
  const [isOpen, setOpen] = useState(false);
  const [change] = useChangeWebhookMutation();
  const [remove] = useDeleteWebhookMutation();
  const [test] = useTestWebhookMutation();
  const showError = useErrorToast();
  return (
    <Box component="li" sx={{ border: 1, borderColor: 'divider', borderRadius: '14px', p: 2 }}>
      <Typography sx={{ overflowWrap: 'anywhere' }}>{webhook.url}</Typography>
      {webhook.disabled_reason ? (
        <Alert severity="warning" sx={{ mt: 1 }}>
          {webhook.disabled_reason}
        </Alert>
      ) : null}
      <Stack direction="row" spacing={0.5} useFlexGap sx={{ mt: 1, mx: -1.5, flexWrap: 'wrap' }}>
        <Button size="small" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {t('webhooks.log')}
        </Button>
        <Button size="small" onClick={() => void test({ webhookId: webhook.id }).then(showError)}>
          {t('webhooks.test')}
        </Button>
        <Button
          size="small"
          onClick={() => void change({ webhookId: webhook.id, webhookChangeIn: { is_active: !webhook.is_active } }).then(showError)}
        >
          {t(webhook.is_active ? 'webhooks.pause' : 'webhooks.resume')}
        </Button>
        <RemoveButton
          label={t('remove')}
          question={t('webhooks.removeQuestion', { url: webhook.url })}
          consequence={t('webhooks.removeConsequence')}
          onConfirm={() => void remove({ webhookId: webhook.id }).then(showError)}
        />
      </Stack>
      {isOpen ? <Deliveries webhook={webhook.id} /> : null}
    </Box>
  );
}

function Deliveries({ webhook }: { webhook: string }) {
  const { t } = useTranslation('account');
  const formats = useFormats();
  const deliveries = useListDeliveriesQuery({ webhookId: webhook, limit: 20 }, { pollingInterval: 5_000 });
  const [replay] = useReplayDeliveryMutation();
  const showError = useErrorToast();
  return (
    <QueryView
      query={deliveries}
      loading={<Skeleton height={60} />}
      isEmpty={({ items }) => items.length === 0}
      empty={<Typography color="textSecondary">{t('webhooks.none')}</Typography>}
    >
      {({ items }) => (
        <Stack component="ol" spacing={0.5} sx={{ listStyle: 'none', p: 0, mt: 1, mb: 0 }}>
          {items.map((delivery) => (
            <Stack component="li" direction="row" spacing={1} key={delivery.id} sx={{ alignItems: 'center', justifyContent: 'space-between' }}>
              <Typography variant="body2">
                {formats.dateTime(delivery.created_at)} · {delivery.type} · {t(`webhooks.state.${delivery.state}`)}
                {delivery.status_code ? ` (${delivery.status_code})` : ''}
                {delivery.error ? ` · ${delivery.error}` : ''}
              </Typography>
              <Button size="small" onClick={() => void replay({ deliveryId: delivery.id }).then(showError)}>
                {t('webhooks.replay')}
              </Button>
            </Stack>
          ))}
        </Stack>
      )}
    </QueryView>
  );
}
