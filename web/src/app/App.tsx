import CssBaseline from '@mui/material/CssBaseline';
import { ThemeProvider } from '@mui/material/styles';
import { ErrorBoundary } from 'react-error-boundary';
import { Provider } from 'react-redux';
import { BrowserRouter } from 'react-router';
import { Crashed } from './errors';
import { Live } from './Live';
import { AppRoutes } from './routes';
import type { Store } from './store';
import { theme } from './theme';

export function App({ store }: { store: Store }) {
  return (
    <Provider store={store}>
      <ThemeProvider theme={theme} defaultMode="system" modeStorageKey="cutline-mode" noSsr>
        <CssBaseline enableColorScheme />
        <ErrorBoundary FallbackComponent={Crashed}>
          <Live />
          <BrowserRouter>
            <AppRoutes />
          </BrowserRouter>
        </ErrorBoundary>
      </ThemeProvider>
    </Provider>
  );
}
