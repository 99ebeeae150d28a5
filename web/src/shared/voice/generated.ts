import { api } from "../api/generated";
export const addTagTypes = ["styles", "jobs"] as const;
const injectedRtkApi = api
  .enhanceEndpoints({
    addTagTypes,
  })
  .injectEndpoints({
    endpoints: (build) => ({
      listStyles: build.query<ListStylesApiResponse, ListStylesApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/${encodeURIComponent(String(queryArg.imageId))}/styles`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            token: queryArg.token,
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["styles"],
      }),
      requestStyles: build.mutation<
        RequestStylesApiResponse,
        RequestStylesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/images/${encodeURIComponent(String(queryArg.imageId))}/styles`,
          method: "POST",
          body: queryArg.stylesIn,
          headers: {
            Prefer: queryArg.prefer,
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["styles"],
      }),
      getJob: build.query<GetJobApiResponse, GetJobApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/jobs/${encodeURIComponent(String(queryArg.jobId))}`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["jobs"],
      }),
      aboutStyles: build.query<AboutStylesApiResponse, AboutStylesApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/styles`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["styles"],
      }),
      listVoices: build.query<ListVoicesApiResponse, ListVoicesApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/voices`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["styles"],
      }),
      saveVoice: build.mutation<SaveVoiceApiResponse, SaveVoiceApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/voices/${encodeURIComponent(String(queryArg.name))}`,
          method: "PUT",
          body: queryArg.voiceIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["styles"],
      }),
      deleteVoice: build.mutation<DeleteVoiceApiResponse, DeleteVoiceApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/voices/${encodeURIComponent(String(queryArg.name))}`,
          method: "DELETE",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["styles"],
      }),
    }),
    overrideExisting: false,
  });
export { injectedRtkApi as voiceApi };
export type ListStylesApiResponse = /** status 200 OK */ PageCandidateOut;
export type ListStylesApiArg = {
  imageId: string;
  token?: string;
  cursor?: string;
  limit?: number;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type RequestStylesApiResponse =
  /** status 200 OK */ StylesJobOut | /** status 202 Accepted */ StylesJobOut;
export type RequestStylesApiArg = {
  imageId: string;
  /** wait=N: wait up to N seconds (at most 60) for the result. */
  prefer?: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  stylesIn: StylesIn;
};
export type GetJobApiResponse = /** status 200 OK */ JobDetailOut;
export type GetJobApiArg = {
  jobId: string;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type AboutStylesApiResponse = /** status 200 OK */ StylesHereOut;
export type AboutStylesApiArg = {
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type ListVoicesApiResponse = /** status 200 OK */ VoicesOut;
export type ListVoicesApiArg = {
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type SaveVoiceApiResponse = /** status 200 OK */ SavedVoiceOut;
export type SaveVoiceApiArg = {
  name: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  voiceIn: VoiceIn;
};
export type DeleteVoiceApiResponse = unknown;
export type DeleteVoiceApiArg = {
  name: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type VoiceOut = {
  tone: string;
  audience: string;
  length: string;
  hashtags: number;
  emoji: boolean;
  language: string;
  prefix: string;
  suffix: string;
  avoid: string[];
};
export type DescriptionOut = {
  /** Its number in the image's history. */
  version: number;
  by: "model" | "person";
  text: string;
};
export type StyleOut = {
  voice: VoiceOut;
  /** The text without prefix, suffix and hashtags. */
  body: string;
  hashtags: string[];
  /** The version of the prompt. */
  prompt: string;
  seed: number;
  /** The candidate that it was to resemble. */
  like: string | null;
  /** What had been written, and was taken away. */
  removed: string[];
  description: DescriptionOut;
};
export type CandidateOut = {
  id: string;
  text: string;
  /** Natural logarithm of its probability, summed over tokens; null if unknown. */
  log_prob: number | null;
  /** The calibrated probability that it is acceptable, from 0 to 1; null where the model does not say. */
  confidence?: number | null;
  /** name@version */
  model?: string;
  /** 0 is the best. */
  rank?: number;
  created_at: string;
  job?: string | null;
  /** Whether it is what the image shows. */
  shown: boolean;
  /** Your own rating. */
  rating?: (1 | -1) | null;
  /** Whether GET /captions/{id}/attention has maps. */
  has_attention: boolean;
  /** Whether it is in a voice. */
  styled?: boolean;
  /** Of one in a voice, for its owner. */
  style?: StyleOut | null;
};
export type PageCandidateOut = {
  items: CandidateOut[];
  next?: string | null;
};
export type FieldErrorOut = {
  where: string[];
  message: string;
  kind: string;
};
export type ProblemOut = {
  /** An address that explains the code. */
  type: string;
  title: string;
  status: number;
  /** What happened. */
  detail: string;
  /** Stable; GET /api/v1/errors lists them all. */
  code: string;
  /** What was kept, and what to do next. */
  hint?: string;
  request_id?: string;
  errors?: FieldErrorOut[] | null;
};
export type JobErrorOut = {
  code: string;
  message: string;
};
export type StylesJobOut = {
  id: string;
  kind: string;
  /** queued, running, done, failed or cancelled. */
  state: string;
  stage?: string;
  image?: string | null;
  bulk?: string | null;
  error?: JobErrorOut | null;
  attempts?: number;
  created_at: string;
  started_at?: string | null;
  ended_at?: string | null;
  n: number;
  seed: number;
  like?: string | null;
  voice: VoiceOut;
  description: DescriptionOut;
  captions?: CandidateOut[];
};
export type StylesIn = {
  /** The name of a voice to begin with (GET /voices). */
  preset?: string | null;
  /** In your words: "dry", "like a haiku". */
  tone?: string | null;
  /** Whom it speaks to. */
  audience?: ("personal" | "promotional" | "academic") | null;
  length?: ("short" | "medium" | "long") | null;
  /** How many. */
  hashtags?: number | null;
  /** Whether it may have some. */
  emoji?: boolean | null;
  /** A tag of BCP 47. */
  language?: string | null;
  /** Stands before it, as it is. */
  prefix?: string | null;
  /** Stands after it, before the hashtags. */
  suffix?: string | null;
  /** Words that must not occur. */
  avoid?: string[] | null;
  /** How many captions. */
  n?: number;
  /** The same seed gives the same captions; else a new one. */
  seed?: number | null;
  /** More like this candidate in a voice: in its voice, unless other fields say else. */
  like?: string | null;
};
export type JobDetailOut = {
  id: string;
  kind: string;
  /** queued, running, done, failed or cancelled. */
  state: string;
  stage?: string;
  image?: string | null;
  bulk?: string | null;
  error?: JobErrorOut | null;
  attempts?: number;
  created_at: string;
  started_at?: string | null;
  ended_at?: string | null;
  /** How many jobs are ahead of it (counted up to 1,000); null unless it is queued. */
  position?: number | null;
};
export type StylesHereOut = {
  available: boolean;
  /** Why not: off, missing or damaged; else empty. */
  reason: string;
  /** name@version; empty where there is none. */
  model: string;
  /** The version of its prompt. */
  prompt: string;
  /** The one language that it writes; empty for any. */
  language: string;
  audiences: string[];
  lengths: string[];
  max_variants: number;
  max_tone_chars: number;
  /** Of prefix and suffix. */
  max_fix_chars: number;
  max_hashtags: number;
  max_avoided: number;
};
export type PresetOut = {
  name: string;
  voice: VoiceOut;
};
export type SavedVoiceOut = {
  name: string;
  voice: VoiceOut;
  changed_at: string;
};
export type VoicesOut = {
  presets: PresetOut[];
  /** Suggestions; a tone is free text. */
  tones: string[];
  /** Your own, by name; for a key with the scope images:read, and for sessions. */
  saved: SavedVoiceOut[];
  /** The voice that you used last; as saved. */
  last: VoiceOut | null;
};
export type VoiceIn = {
  /** The name of a voice to begin with (GET /voices). */
  preset?: string | null;
  /** In your words: "dry", "like a haiku". */
  tone?: string | null;
  /** Whom it speaks to. */
  audience?: ("personal" | "promotional" | "academic") | null;
  length?: ("short" | "medium" | "long") | null;
  /** How many. */
  hashtags?: number | null;
  /** Whether it may have some. */
  emoji?: boolean | null;
  /** A tag of BCP 47. */
  language?: string | null;
  /** Stands before it, as it is. */
  prefix?: string | null;
  /** Stands after it, before the hashtags. */
  suffix?: string | null;
  /** Words that must not occur. */
  avoid?: string[] | null;
};
export const {
  useListStylesQuery,
  useLazyListStylesQuery,
  useRequestStylesMutation,
  useGetJobQuery,
  useLazyGetJobQuery,
  useAboutStylesQuery,
  useLazyAboutStylesQuery,
  useListVoicesQuery,
  useLazyListVoicesQuery,
  useSaveVoiceMutation,
  useDeleteVoiceMutation,
} = injectedRtkApi;
