import Button from '@mui/material/Button';
import MenuItem from '@mui/material/MenuItem';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import Typography from '@mui/material/Typography';
import { useState, type FormEvent } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { useActOnImagesMutation, type ActionIn } from '@/shared/api/generated';
import { announced } from '@/shared/api/live';
import { problemOf } from '@/shared/api/problem';
import { toastShown } from '@/shared/ui/toasts';

const VISIBILITIES = ['private', 'unlisted', 'public'] as const;

interface SelectionBarProps {
  selected: ReadonlySet<string>;
  onClear: () => void;
  onAll: () => void;
}

/** Actions on the selected photos. */
export function SelectionBar({ selected, onClear, onAll }: SelectionBarProps) {
  const { t } = useTranslation('library');
  const dispatch = useDispatch();
  const [tag, setTag] = useState('');
  const [act, { isLoading }] = useActOnImagesMutation();
  if (selected.size === 0) return null;
  const ids = [...selected];
  const run = async (action: Omit<ActionIn, 'ids'>, done: string) => {
    const result = await act({ actionIn: { ...action, ids } });
    if (result.error) {
      dispatch(toastShown({ tone: 'error', text: problemOf(result.error).detail || t('action.failed') }));
      return;
    }
    if (action.action === 'delete') {
      dispatch(toastShown({ tone: 'info', text: done, undo: { kind: 'undelete', ids } }));
      onClear();
    } else {
      dispatch(announced(done));
      dispatch(toastShown({ tone: 'success', text: done }));
    }
  };
  const addTag = (event: FormEvent) => {
    event.preventDefault();
    const tags = tag.split(',').map((each) => each.trim().toLowerCase()).filter(Boolean);
    if (tags.length > 0) void run({ action: 'add_tags', tags }, t('action.tagged', { count: ids.length })).then(() => setTag(''));
  };
  return (
    <Stack
      component="section"
      aria-label={t('selection.label')}
      direction="row"
      spacing={1.5}
      useFlexGap
      sx={{
        position: 'sticky',
        top: 8,
        zIndex: 2,
        mb: 2,
        p: 1.5,
        flexWrap: 'wrap',
        alignItems: 'center',
        bgcolor: 'background.paper',
        border: 1,
        borderColor: 'primary.main',
        borderRadius: '14px',
      }}
    >
      <Typography role="status" sx={{ fontWeight: 600 }}>
        {t('selection.count', { count: ids.length })}
      </Typography>
      <TextField
        select
        label={t('selection.visibility')}
        value=""
        disabled={isLoading}
        onChange={(event) =>
          void run(
            { action: 'set_visibility', visibility: event.target.value as (typeof VISIBILITIES)[number] },
            t('action.changed', { count: ids.length }),
          )
        }
        sx={{ width: 170 }}
      >
        {VISIBILITIES.map((each) => (
          <MenuItem key={each} value={each}>
            {t(`visibility.${each}`)}
          </MenuItem>
        ))}
      </TextField>
      <Stack component="form" direction="row" spacing={1} onSubmit={addTag}>
        <TextField label={t('selection.tag')} value={tag} onChange={(event) => setTag(event.target.value)} sx={{ width: 150 }} />
        <Button type="submit" disabled={isLoading || tag.trim() === ''}>
          {t('selection.add')}
        </Button>
      </Stack>
      <Button color="error" disabled={isLoading} onClick={() => void run({ action: 'delete' }, t('action.deleted', { count: ids.length }))}>
        {t('selection.delete')}
      </Button>
      <Button color="inherit" onClick={onAll}>
        {t('selection.all')}
      </Button>
      <Button color="inherit" onClick={onClear}>
        {t('selection.clear')}
      </Button>
    </Stack>
  );
}
