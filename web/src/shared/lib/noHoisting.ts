/** Stands for hoist-non-react-statics (see vite.config.ts). */
export default function noHoisting(): never {
  throw new Error('withTheme() of Emotion is not built in');
}
