import { api } from './generated';

// The tags that a write invalidates beyond its own. Events do so, too, but the event stream may be down.
export const freshApi = api.enhanceEndpoints({
  endpoints: {
    editCaption: { invalidatesTags: ['captions', 'images', 'gallery'] },
    pickCaption: { invalidatesTags: ['captions', 'images', 'gallery'] },
    restoreVersion: { invalidatesTags: ['captions', 'images', 'gallery'] },
    requestCaptions: { invalidatesTags: ['captions', 'images', 'jobs'] },
    rateCaption: { invalidatesTags: ['captions'] },
    unrateCaption: { invalidatesTags: ['captions'] },
    noteFeedback: { invalidatesTags: [] },
    retryJob: { invalidatesTags: ['jobs', 'images'] },
    cancelJob: { invalidatesTags: ['jobs', 'images'] },
    changeImage: { invalidatesTags: ['images', 'gallery'] },
    actOnImages: { invalidatesTags: ['images', 'gallery'] },
    deleteImage: { invalidatesTags: ['images', 'gallery'] },
  },
});
