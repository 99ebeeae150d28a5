import Menu from '@mui/material/Menu';
import MenuItem from '@mui/material/MenuItem';

interface ChoiceMenuProps {
  label: string;
  anchor: HTMLElement;
  value: string;
  options: readonly { value: string; label: string; lang?: string }[];
  onChoose: (value: string) => void;
  onClose: () => void;
}

export default function ChoiceMenu({ label, anchor, value, options, onChoose, onClose }: ChoiceMenuProps) {
  return (
    <Menu anchorEl={anchor} open onClose={onClose} slotProps={{ list: { 'aria-label': label } }}>
      {options.map((option) => (
        <MenuItem
          key={option.value}
          role="menuitemradio"
          aria-checked={option.value === value}
          selected={option.value === value}
          lang={option.lang}
          onClick={() => {
            onChoose(option.value);
            onClose();
          }}
        >
          {option.label}
        </MenuItem>
      ))}
    </Menu>
  );
}
