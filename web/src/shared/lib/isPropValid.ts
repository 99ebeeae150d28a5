// What `sx` and MUI give to a styled element for its styles alone.
const FOR_STYLES = new Set(['as', 'ownerState', 'sx', 'theme']);

/** Stands for @emotion/is-prop-valid, a list of all attributes of HTML (see vite.config.ts). */
export default function isPropValid(name: string): boolean {
  return !FOR_STYLES.has(name);
}
