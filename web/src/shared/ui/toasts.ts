import { createSlice, type PayloadAction } from '@reduxjs/toolkit';

// A short message at the bottom of the page, with at most one action (undo). The action is data, not a function, so
// that the store stays serializable.
export interface Toast {
  id: number;
  text: string;
  tone: 'info' | 'success' | 'error';
  undo?: { kind: string; ids: string[] };
}

const toasts = createSlice({
  name: 'toasts',
  initialState: { next: 1, items: [] as Toast[] },
  reducers: {
    shown: (state, action: PayloadAction<Omit<Toast, 'id'>>) => {
      state.items.push({ ...action.payload, id: state.next });
      state.next += 1;
    },
    dismissed: (state, action: PayloadAction<number>) => {
      state.items = state.items.filter((each) => each.id !== action.payload);
    },
  },
});

export const { shown: toastShown, dismissed: toastDismissed } = toasts.actions;
export const toastsReducer = toasts.reducer;
