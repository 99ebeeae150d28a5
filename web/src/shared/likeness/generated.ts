import { api } from "../api/generated";
export const addTagTypes = ["images"] as const;
const injectedRtkApi = api
  .enhanceEndpoints({
    addTagTypes,
  })
  .injectEndpoints({
    endpoints: (build) => ({
      listDuplicates: build.query<
        ListDuplicatesApiResponse,
        ListDuplicatesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/images/duplicates`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            limit: queryArg.limit,
          },
        }),
        providesTags: ["images"],
      }),
      searchImages: build.query<SearchImagesApiResponse, SearchImagesApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/search`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            q: queryArg.q,
            tag: queryArg.tag,
            visibility: queryArg.visibility,
            state: queryArg.state,
            from: queryArg["from"],
            to: queryArg.to,
            by: queryArg.by,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["images"],
      }),
      listSimilar: build.query<ListSimilarApiResponse, ListSimilarApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/${encodeURIComponent(String(queryArg.imageId))}/similar`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            among: queryArg.among,
            limit: queryArg.limit,
            token: queryArg.token,
          },
        }),
        providesTags: ["images"],
      }),
    }),
    overrideExisting: false,
  });
export { injectedRtkApi as likenessApi };
export type ListDuplicatesApiResponse = /** status 200 OK */ CopiesOut;
export type ListDuplicatesApiArg = {
  limit?: number;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type SearchImagesApiResponse = /** status 200 OK */ AnswerOut;
export type SearchImagesApiArg = {
  /** Words of captions and tags, or beginnings of words. */
  q?: string;
  /** All of these. */
  tag?: string[];
  visibility?: "" | "private" | "unlisted" | "public";
  /** Of the latest caption job. */
  state?: "" | "queued" | "running" | "done" | "failed" | "cancelled";
  /** Uploaded then or later. */
  from?: string | null;
  /** Uploaded before. */
  to?: string | null;
  by?: "hybrid" | "words" | "meaning";
  limit?: number;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type ListSimilarApiResponse = /** status 200 OK */ AnswerOut;
export type ListSimilarApiArg = {
  imageId: string;
  among?: Among | null;
  limit?: number;
  token?: string;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type UrlsOut = {
  thumbnail?: {
    [key: string]: string;
  };
  large?: {
    [key: string]: string;
  };
  master?: {
    [key: string]: string;
  };
};
export type JobErrorOut = {
  code: string;
  message: string;
};
export type ImageJobOut = {
  id: string;
  state: string;
  stage?: string;
  error?: JobErrorOut | null;
  /** How many jobs are ahead of it (counted up to 1,000); null unless it is queued. */
  position?: number | null;
};
export type ImageOut = {
  id: string;
  caption: string;
  /** model, person, or empty if there is no caption yet. */
  caption_by: string;
  /** name@version of what wrote it. */
  caption_model?: string;
  /** Whether the caption is in a voice. */
  styled?: boolean;
  /** The plain text: the caption, unless that is in a voice. */
  description?: string;
  /** The description, shortened. */
  alt_text?: string;
  width_px: number;
  height_px: number;
  /** A tiny picture as a data: URL. */
  placeholder?: string;
  urls: UrlsOut;
  tags: string[];
  visibility: string;
  moderation: string;
  job?: ImageJobOut | null;
  mine: boolean;
  created_at: string;
  changed_at: string;
  published_at?: string | null;
  expires_at?: string | null;
  /** Only for the owner, as are the fields below. */
  file_name?: string | null;
  /** Whether others see the earlier words until a moderator has read yours. */
  words_unread?: boolean | null;
  source_url?: string | null;
  share_url?: string | null;
  keep_original?: boolean | null;
  original_url?: string | null;
};
export type CopiesOut = {
  groups: ImageOut[][];
  /** Why photos were not compared. pending: the model has not seen them yet, or they are being compared; try again in a while. unsupported: the model does not say how photos are alike. no_text_tower: nor what a text means. Empty where they were. */
  reason?: "" | "pending" | "unsupported" | "no_text_tower";
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
export type FoundOut = {
  image: ImageOut;
  /** From -1 to 1: how like it is to what was asked; null if it was found by its words alone. */
  likeness: number | null;
};
export type AnswerOut = {
  items: FoundOut[];
  /** Why photos were not compared. pending: the model has not seen them yet, or they are being compared; try again in a while. unsupported: the model does not say how photos are alike. no_text_tower: nor what a text means. Empty where they were. */
  reason?: "" | "pending" | "unsupported" | "no_text_tower";
};
export type Among = "library" | "gallery";
export const {
  useListDuplicatesQuery,
  useSearchImagesQuery,
  useListSimilarQuery,
} = injectedRtkApi;
