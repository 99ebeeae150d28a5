import { ThemeProvider } from '@mui/system';
import { useEffect, useState } from 'react';
import { ErrorBoundary } from 'react-error-boundary';
import { Provider } from 'react-redux';
import { Uploader } from '@/features/caption/uploader';
import { UploaderContext } from '@/features/caption/useUploader';
import { selectSender } from '@/shared/api/viewer';
import { keepFocus } from '@/shared/lib/keepFocus';
import { useColors } from './colorMode';
import { Crashed } from './errors';
import { Live } from './Live';
import { AppRoutes } from './routes';
import type { Store } from './store';
import { theme } from './theme';

export function App({ store }: { store: Store }) {
  const [uploader] = useState(() => new Uploader(store.dispatch, () => selectSender(store.getState())));
  useEffect(() => uploader.start(store.subscribe), [uploader, store]);
  useEffect(() => keepFocus(), []);
  useColors();
  return (
    <Provider store={store}>
      <ThemeProvider theme={theme}>
        <ErrorBoundary FallbackComponent={Crashed}>
          <Live />
          <UploaderContext value={uploader}>
            <AppRoutes />
          </UploaderContext>
        </ErrorBoundary>
      </ThemeProvider>
    </Provider>
  );
}
