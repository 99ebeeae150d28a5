import { configureStore } from '@reduxjs/toolkit';
import { setupListeners } from '@reduxjs/toolkit/query';
import { uploadsReducer } from '@/features/caption/uploads';
import { freshApi } from '@/shared/api/freshness';
import { liveReducer } from '@/shared/api/live';
import { toastsReducer } from '@/shared/ui/toasts';

export function makeStore() {
  const store = configureStore({
    reducer: { [freshApi.reducerPath]: freshApi.reducer, live: liveReducer, toasts: toastsReducer, uploads: uploadsReducer },
    middleware: (defaults) => defaults().concat(freshApi.middleware),
  });
  setupListeners(store.dispatch);
  return store;
}

export type Store = ReturnType<typeof makeStore>;
export type RootState = ReturnType<Store['getState']>;
