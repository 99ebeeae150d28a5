import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Page } from '@/shared/ui/Page';
import { AboutNav } from './AboutNav';

interface Section {
  title: string;
  text: string[];
}

export type TextName = 'how' | 'terms' | 'privacy' | 'accessibility' | 'missing';

/** A page of text from the message files. */
export function TextPage({ name }: { name: TextName }) {
  const { t, i18n } = useTranslation('about');
  const sections = (i18n.content('about', `${name}.sections`) ?? []) as Section[];
  return (
    <Page title={t(`${name}.title`)} lead={t(`${name}.lead`)} width="md">
      <AboutNav />
      <Stack spacing={4} component="article">
        {sections.map((section) => (
          <section key={section.title}>
            <Typography variant="h2" gutterBottom>
              {section.title}
            </Typography>
            {section.text.map((paragraph) => (
              <Typography key={paragraph} sx={{ maxWidth: '68ch', mb: 1.5 }}>
                {paragraph}
              </Typography>
            ))}
          </section>
        ))}
      </Stack>
    </Page>
  );
}
