import { configureStore } from '@reduxjs/toolkit';
import { setupListeners } from '@reduxjs/toolkit/query';
import { uploadsReducer } from '@/features/caption/uploads';
import { baseApi } from '@/shared/api/base';
import { liveReducer } from '@/shared/api/live';
import { toastsReducer } from '@/shared/ui/toasts';

export function makeStore() {
  const store = configureStore({
    reducer: { [baseApi.reducerPath]: baseApi.reducer, live: liveReducer, toasts: toastsReducer, uploads: uploadsReducer },
    middleware: (defaults) => defaults().concat(baseApi.middleware),
  });
  setupListeners(store.dispatch);
  return store;
}

export type Store = ReturnType<typeof makeStore>;
export type RootState = ReturnType<Store['getState']>;
