import type { SvgIconComponent } from '@mui/icons-material';
import AddAPhoto from '@mui/icons-material/AddAPhotoOutlined';
import Collections from '@mui/icons-material/CollectionsOutlined';
import Insights from '@mui/icons-material/InsightsOutlined';
import Inventory from '@mui/icons-material/Inventory2Outlined';
import Public from '@mui/icons-material/PublicOutlined';

export interface Place {
  to: string;
  label: 'nav.caption' | 'nav.library' | 'nav.gallery' | 'nav.bulk' | 'nav.dashboard';
  icon: SvgIconComponent;
}

export const PLACES: readonly Place[] = [
  { to: '/', label: 'nav.caption', icon: AddAPhoto },
  { to: '/library', label: 'nav.library', icon: Collections },
  { to: '/gallery', label: 'nav.gallery', icon: Public },
  { to: '/bulk', label: 'nav.bulk', icon: Inventory },
];

/** For staff only. */
export const DASHBOARD: Place = { to: '/dashboard', label: 'nav.dashboard', icon: Insights };
