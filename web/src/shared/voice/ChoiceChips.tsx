import Box from '@mui/material/Box';
import { useId } from 'react';
import { visuallyHidden } from '../ui/Page';

interface ChoiceChipsProps<Value extends string> {
  label: string;
  choices: readonly { value: Value; label: string }[];
  value: string; // may be none of the choices
  onChoose: (value: Value) => void;
}

/** Radio buttons that look like chips: one tab stop, the arrow keys choose. */
export function ChoiceChips<Value extends string>({ label, choices, value, onChoose }: ChoiceChipsProps<Value>) {
  const name = useId();
  return (
    <Box component="fieldset" sx={{ border: 0, p: 0, m: 0, minWidth: 0 }}>
      <Box component="legend" sx={{ p: 0, mb: 0.75, typography: 'body2', fontWeight: 600 }}>
        {label}
      </Box>
      <Box sx={{ display: 'flex', flexWrap: 'wrap', gap: 1 }}>
        {choices.map((choice) => (
          <Box component="label" key={choice.value} sx={{ position: 'relative', cursor: 'pointer' }}>
            <Box
              component="input"
              type="radio"
              name={name}
              value={choice.value}
              checked={choice.value === value}
              onChange={() => onChoose(choice.value)}
              sx={{ ...visuallyHidden, m: 0 }}
            />
            <Box
              component="span"
              sx={{
                display: 'inline-flex',
                alignItems: 'center',
                minHeight: 40,
                px: 1.75,
                border: 1,
                borderColor: 'divider',
                borderRadius: 999,
                bgcolor: 'background.paper',
                typography: 'body2',
                fontWeight: 500,
                'label:hover > &': { borderColor: 'text.secondary' },
                'input:checked + &': { bgcolor: 'primary.main', borderColor: 'primary.main', color: 'primary.contrastText' },
                'input:focus-visible + &': { outline: '3px solid', outlineColor: 'primary.main', outlineOffset: 2 },
              }}
            >
              {choice.label}
            </Box>
          </Box>
        ))}
      </Box>
    </Box>
  );
}
