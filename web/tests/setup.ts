import '@testing-library/jest-dom/vitest';
import { cleanup, configure } from '@testing-library/react';
import { afterEach } from 'vitest';
import { ready } from '@/shared/i18n';

// Machines are busy at times; what never comes still fails.
configure({ asyncUtilTimeout: 60_000 });
afterEach(cleanup);
await ready;
