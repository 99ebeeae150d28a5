import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ready } from '@/shared/i18n';
import { App } from './App';
import { fetchNextPages } from './routes';
import { makeStore } from './store';

const root = document.getElementById('root');
if (!root) throw new Error('index.html lacks #root');
const store = makeStore();
void ready.then(() => {
  createRoot(root).render(
    <StrictMode>
      <App store={store} />
    </StrictMode>,
  );
  fetchNextPages();
});
