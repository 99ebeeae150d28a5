import type { SvgIconComponent } from '@mui/icons-material';
import AddAPhoto from '@mui/icons-material/AddAPhotoOutlined';
import Collections from '@mui/icons-material/CollectionsOutlined';
import Inventory from '@mui/icons-material/Inventory2Outlined';
import Person from '@mui/icons-material/PersonOutlined';
import Public from '@mui/icons-material/PublicOutlined';

export interface Place {
  to: string;
  label: 'nav.caption' | 'nav.library' | 'nav.gallery' | 'nav.bulk' | 'nav.account';
  icon: SvgIconComponent;
}

export const PLACES: readonly Place[] = [
  { to: '/', label: 'nav.caption', icon: AddAPhoto },
  { to: '/library', label: 'nav.library', icon: Collections },
  { to: '/gallery', label: 'nav.gallery', icon: Public },
  { to: '/bulk', label: 'nav.bulk', icon: Inventory },
];

export const ACCOUNT: Place = { to: '/account', label: 'nav.account', icon: Person };
