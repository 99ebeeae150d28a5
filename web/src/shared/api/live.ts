import { createSlice, type PayloadAction } from '@reduxjs/toolkit';
import type { Connection, LiveEvent } from './events';

// The latest event data of each image, overlaid on the API's data. Only what changes often.
export interface LiveJob {
  id: string;
  state: string;
  stage: string;
  position: number | null;
  error: { code: string; message: string } | null;
}

export interface LiveImage {
  job?: LiveJob;
  caption?: string;
  captionBy?: string;
}

export interface LiveState {
  connection: Connection;
  images: Record<string, LiveImage>;
  // The text that a screen reader should announce next; the number makes repeats audible.
  announcement: { text: string; number: number };
}

const initialState: LiveState = {
  connection: 'connecting',
  images: {},
  announcement: { text: '', number: 0 },
};

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

const live = createSlice({
  name: 'live',
  initialState,
  reducers: {
    connectionChanged: (state, action: PayloadAction<Connection>) => {
      state.connection = action.payload;
    },
    announced: (state, action: PayloadAction<string>) => {
      state.announcement = { text: action.payload, number: state.announcement.number + 1 };
    },
    liveReset: (state) => {
      state.images = {};
    },
    eventReceived: (state, action: PayloadAction<LiveEvent>) => {
      const { type, data } = action.payload;
      const image = textOf(data.image);
      if (!image || data.kind === 'style') return; // captions in a voice do not hold up the photo's own
      const entry = (state.images[image] ??= {});
      if (type === 'job.changed') {
        const error = data.error as { code?: unknown; message?: unknown } | null | undefined;
        entry.job = {
          id: textOf(data.job),
          state: textOf(data.state),
          stage: textOf(data.stage),
          position: typeof data.position === 'number' ? data.position : null,
          error: error ? { code: textOf(error.code), message: textOf(error.message) } : null,
        };
      } else if (type === 'caption.ready' || type === 'caption.changed') {
        const caption = textOf(data.caption);
        if (caption) entry.caption = caption;
        if (textOf(data.caption_by)) entry.captionBy = textOf(data.caption_by);
      } else if (type === 'image.deleted') {
        Reflect.deleteProperty(state.images, image);
      }
    },
  },
});

export const { connectionChanged, announced, liveReset, eventReceived } = live.actions;
export const liveReducer = live.reducer;
