declare module 'virtual:theme' {
  import type { computed } from './design';

  const values: ReturnType<typeof computed>;
  export default values;
}
