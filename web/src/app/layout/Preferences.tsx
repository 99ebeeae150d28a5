import DarkMode from '@mui/icons-material/DarkModeOutlined';
import Translate from '@mui/icons-material/Translate';
import IconButton from '@mui/material/IconButton';
import { Suspense, useState, type ReactNode } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { LANGUAGES, setLanguage, type Language } from '@/shared/i18n';
import { lazyPart } from '@/shared/lib/lazyPart';
import { MODES, setMode, useMode } from '../colorMode';

// Menus are loaded on demand: the first page should not wait for their code.
const ChoiceMenu = lazyPart(() => import('./ChoiceMenu'));

interface ChoiceProps<T extends string> {
  label: string;
  icon: ReactNode;
  value: T;
  options: readonly { value: T; label: string; lang?: string }[];
  onChoose: (value: T) => void;
}

function Choice<T extends string>({ label, icon, value, options, onChoose }: ChoiceProps<T>) {
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  return (
    <>
      <IconButton
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={anchor !== null}
        onClick={(event) => setAnchor(event.currentTarget)}
      >
        {icon}
      </IconButton>
      {anchor ? (
        <Suspense fallback={null}>
          <ChoiceMenu
            label={label}
            anchor={anchor}
            value={value}
            options={options}
            onChoose={(chosen) => onChoose(chosen as T)}
            onClose={() => setAnchor(null)}
          />
        </Suspense>
      ) : null}
    </>
  );
}

export function Preferences() {
  const { t, i18n } = useTranslation();
  return (
    <>
      <Choice
        label={t('language')}
        icon={<Translate fontSize="small" />}
        value={i18n.language as Language}
        options={(Object.keys(LANGUAGES) as Language[]).map((each) => ({ value: each, label: LANGUAGES[each], lang: each }))}
        onChoose={setLanguage}
      />
      <Choice
        label={t('theme.label')}
        icon={<DarkMode fontSize="small" />}
        value={useMode()}
        options={MODES.map((each) => ({ value: each, label: t(`theme.${each}`) }))}
        onChoose={setMode}
      />
    </>
  );
}
