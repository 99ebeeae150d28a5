import { api } from './generated';

// What a write makes stale beyond its own tag. The live connection says so too, but it may be away.
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
    undeleteImage: { invalidatesTags: ['images', 'gallery'] },
  },
});
