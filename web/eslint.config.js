import jsxA11y from 'eslint-plugin-jsx-a11y';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

/** Who may import whom: app -> features -> shared, and no feature reaches into another. */
function layer(files, group, message) {
  return { files, rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [{ group, message }] }] } };
}

export default tseslint.config(
  { ignores: ['src/**/generated.ts', 'public/theme.js', 'codegen.config.cjs', 'node_modules'] },
  ...tseslint.configs.strict,
  jsxA11y.flatConfigs.strict,
  reactHooks.configs.flat['recommended-latest'],
  {
    files: ['**/*.{ts,tsx}'],
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
    },
  },
  layer(
    ['src/features/**/*.{ts,tsx}'],
    ['@/app/**', '@/features/**', '../**'],
    'A feature imports its own folder (./) and @/shared alone.',
  ),
  layer(['src/shared/**/*.{ts,tsx}'], ['@/app/**', '@/features/**', '**/features/**', '**/app/**'], 'Shared code must not import features.'),
);
