import { createSlice, type PayloadAction } from '@reduxjs/toolkit';
import type { Problem } from '@/shared/api/problem';

// Uploads in progress. Their bytes are kept in IndexedDB until the server has them, so that they survive reloads
// and lost connections.
export type UploadState = 'waiting' | 'sending' | 'sent' | 'failed';

export interface Upload {
  id: string; // also the Idempotency-Key, so that retries create one image
  name: string;
  url: string | null; // for the server to fetch, instead of bytes
  state: UploadState;
  progress: number; // 0 to 1
  image: string | null;
  problem: Problem | null;
}

export interface UploadsState {
  items: Upload[]; // newest first
}

const initialState: UploadsState = { items: [] };

const uploads = createSlice({
  name: 'uploads',
  initialState,
  reducers: {
    added: (state, action: PayloadAction<{ id: string; name: string; url: string | null }[]>) => {
      const known = new Set(state.items.map((each) => each.id));
      const fresh = action.payload
        .filter((each) => !known.has(each.id))
        .map((each): Upload => ({ ...each, state: 'waiting', progress: 0, image: null, problem: null }));
      state.items.unshift(...fresh.reverse());
    },
    changed: (state, action: PayloadAction<{ id: string } & Partial<Upload>>) => {
      const item = state.items.find((each) => each.id === action.payload.id);
      if (item) Object.assign(item, action.payload);
    },
    cleared: (state) => {
      state.items = [];
    },
    removed: (state, action: PayloadAction<string>) => {
      state.items = state.items.filter((each) => each.id !== action.payload);
    },
  },
});

export const { added: uploadsAdded, changed: uploadChanged, cleared: uploadsCleared, removed: uploadRemoved } = uploads.actions;
export const uploadsReducer = uploads.reducer;
export const selectUploads = (state: { uploads: UploadsState }): Upload[] => state.uploads.items;
