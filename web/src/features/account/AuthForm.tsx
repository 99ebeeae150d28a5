import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import { useRef, useState, type FormEvent, type ReactNode } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useOnce } from '@/shared/lib/useOnce';
import type { Answer, FieldError } from './allauth';

export interface Field {
  name: string;
  label: string;
  type?: 'text' | 'email' | 'password' | 'url';
  autoComplete?: string;
  hint?: string;
  inputMode?: 'numeric';
}

interface AuthFormProps {
  fields: readonly Field[];
  submit: string;
  onSubmit: (values: Record<string, string>) => Promise<Answer>;
  // Returns whether the answer was handled; otherwise the form shows its errors.
  onAnswer: (answer: Answer, values: Record<string, string>) => boolean;
  children?: ReactNode;
}

/** A form that shows errors next to their fields and focuses the first invalid one. */
export function AuthForm({ fields, submit, onSubmit, onAnswer, children }: AuthFormProps) {
  const { t } = useTranslation('account');
  const [errors, setErrors] = useState<FieldError[]>([]);
  const form = useRef<HTMLFormElement>(null);
  const focus = (name?: string) => {
    if (name) form.current?.querySelector<HTMLInputElement>(`[name="${CSS.escape(name)}"]`)?.focus();
  };
  const send = useOnce(async () => {
    if (!form.current) return;
    const values = Object.fromEntries([...new FormData(form.current)].map(([name, value]) => [name, String(value)]));
    const missing = fields.filter((field) => !values[field.name]?.trim());
    if (missing.length > 0) {
      setErrors(missing.map((field) => ({ param: field.name, code: 'required', message: t('error.required') })));
      focus(missing[0]?.name);
      return;
    }
    const answer = await onSubmit(values);
    if (onAnswer(answer, values)) {
      setErrors([]);
      return;
    }
    const fallback = answer.status === 0 ? t('error.offline') : answer.status === 429 ? t('error.tooMany') : t('error.failed');
    const given = answer.errors.length > 0 ? answer.errors : [{ code: 'failed', message: fallback }];
    setErrors(given);
    focus(given.find((error) => error.param)?.param);
  });
  const onSubmitted = (event: FormEvent) => {
    event.preventDefault();
    send();
  };
  const known = new Set(fields.map((field) => field.name));
  const general = errors.filter((error) => !error.param || !known.has(error.param));
  return (
    <Stack component="form" ref={form} spacing={2.5} noValidate onSubmit={onSubmitted}>
      {general.map((error) => (
        <Alert key={error.message} severity="error" role="alert">
          {error.message}
        </Alert>
      ))}
      {fields.map((field) => {
        const error = errors.find((each) => each.param === field.name);
        return (
          <TextField
            key={field.name}
            name={field.name}
            label={field.label}
            type={field.type ?? 'text'}
            autoComplete={field.autoComplete}
            error={Boolean(error)}
            helperText={error?.message ?? field.hint}
            required
            slotProps={{ htmlInput: { inputMode: field.inputMode }, inputLabel: { required: false } }}
          />
        );
      })}
      {children}
      <Button type="submit" variant="contained" size="large">
        {submit}
      </Button>
    </Stack>
  );
}
