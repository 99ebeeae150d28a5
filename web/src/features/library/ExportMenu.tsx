import Menu from '@mui/material/Menu';
import MenuItem from '@mui/material/MenuItem';
import { useTranslation } from '@/shared/i18n/useTranslation';
import type { LibraryFilters } from '@/shared/api/lists';

const FORMATS = ['csv', 'json', 'jsonl', 'zip'] as const;

interface ExportMenuProps {
  anchor: HTMLElement;
  filters: LibraryFilters;
  onClose: () => void;
}

function address(format: string, { q, tag, visibility, state }: LibraryFilters): string {
  const params = new URLSearchParams({ format });
  for (const [name, value] of Object.entries({ q, visibility, state })) if (value) params.set(name, value);
  for (const each of tag ?? []) params.append('tag', each);
  return `/api/v1/images/export?${params.toString()}`;
}

/** Exports the filtered photos. */
export default function ExportMenu({ anchor, filters, onClose }: ExportMenuProps) {
  const { t } = useTranslation('library');
  return (
    <Menu anchorEl={anchor} open onClose={onClose} slotProps={{ list: { 'aria-label': t('export.button') } }}>
      {FORMATS.map((format) => (
        <MenuItem key={format} component="a" href={address(format, filters)} download onClick={onClose}>
          {t(`export.${format}`)}
        </MenuItem>
      ))}
    </Menu>
  );
}
