import { baseApi as api } from "./base";
export const addTagTypes = [
  "bulk",
  "captions",
  "feedback",
  "webhooks",
  "images",
  "gallery",
  "jobs",
  "people",
  "stats",
] as const;
const injectedRtkApi = api
  .enhanceEndpoints({
    addTagTypes,
  })
  .injectEndpoints({
    endpoints: (build) => ({
      listBulks: build.query<ListBulksApiResponse, ListBulksApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/bulk`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["bulk"],
      }),
      getBulk: build.query<GetBulkApiResponse, GetBulkApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/bulk/${queryArg.bulkId}`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["bulk"],
      }),
      cancelBulk: build.mutation<CancelBulkApiResponse, CancelBulkApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/bulk/${queryArg.bulkId}/cancel`,
          method: "POST",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["bulk"],
      }),
      listBulkItems: build.query<ListBulkItemsApiResponse, ListBulkItemsApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/bulk/${queryArg.bulkId}/items`,
            headers: {
              "If-None-Match": queryArg["If-None-Match"],
            },
            params: {
              state: queryArg.state,
              cursor: queryArg.cursor,
              limit: queryArg.limit,
            },
          }),
          providesTags: ["bulk"],
        },
      ),
      pauseBulk: build.mutation<PauseBulkApiResponse, PauseBulkApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/bulk/${queryArg.bulkId}/pause`,
          method: "POST",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["bulk"],
      }),
      resumeBulk: build.mutation<ResumeBulkApiResponse, ResumeBulkApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/bulk/${queryArg.bulkId}/resume`,
          method: "POST",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["bulk"],
      }),
      getAttention: build.query<GetAttentionApiResponse, GetAttentionApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/captions/${queryArg.captionId}/attention`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            token: queryArg.token,
          },
        }),
        providesTags: ["captions"],
      }),
      rateCaption: build.mutation<RateCaptionApiResponse, RateCaptionApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/captions/${queryArg.captionId}/rating`,
          method: "PUT",
          body: queryArg.ratingIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
          params: {
            token: queryArg.token,
          },
        }),
        invalidatesTags: ["feedback"],
      }),
      unrateCaption: build.mutation<
        UnrateCaptionApiResponse,
        UnrateCaptionApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/captions/${queryArg.captionId}/rating`,
          method: "DELETE",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
          params: {
            token: queryArg.token,
          },
        }),
        invalidatesTags: ["feedback"],
      }),
      replayDelivery: build.mutation<
        ReplayDeliveryApiResponse,
        ReplayDeliveryApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/deliveries/${queryArg.deliveryId}/replay`,
          method: "POST",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["webhooks"],
      }),
      noteFeedback: build.mutation<NoteFeedbackApiResponse, NoteFeedbackApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/feedback`,
            method: "POST",
            body: queryArg.feedbackIn,
            headers: {
              "Idempotency-Key": queryArg["Idempotency-Key"],
            },
          }),
          invalidatesTags: ["feedback"],
        },
      ),
      listImages: build.query<ListImagesApiResponse, ListImagesApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images`,
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
            cursor: queryArg.cursor,
            limit: queryArg.limit,
            order: queryArg.order,
          },
        }),
        providesTags: ["images"],
      }),
      actOnImages: build.mutation<ActOnImagesApiResponse, ActOnImagesApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/actions`,
          method: "POST",
          body: queryArg.actionIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["images"],
      }),
      getImage: build.query<GetImageApiResponse, GetImageApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/${queryArg.imageId}`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            token: queryArg.token,
          },
        }),
        providesTags: ["images"],
      }),
      changeImage: build.mutation<ChangeImageApiResponse, ChangeImageApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/${queryArg.imageId}`,
          method: "PATCH",
          body: queryArg.imageIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
            "If-Match": queryArg["If-Match"],
          },
        }),
        invalidatesTags: ["images"],
      }),
      deleteImage: build.mutation<DeleteImageApiResponse, DeleteImageApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/${queryArg.imageId}`,
          method: "DELETE",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
            "If-Match": queryArg["If-Match"],
          },
        }),
        invalidatesTags: ["images"],
      }),
      editCaption: build.mutation<EditCaptionApiResponse, EditCaptionApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/${queryArg.imageId}/caption`,
          method: "PUT",
          body: queryArg.textIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
            "If-Match": queryArg["If-Match"],
          },
        }),
        invalidatesTags: ["captions"],
      }),
      listCaptions: build.query<ListCaptionsApiResponse, ListCaptionsApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/${queryArg.imageId}/captions`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            token: queryArg.token,
            styled: queryArg.styled,
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["captions"],
      }),
      requestCaptions: build.mutation<
        RequestCaptionsApiResponse,
        RequestCaptionsApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/images/${queryArg.imageId}/captions`,
          method: "POST",
          body: queryArg.captionOptionsIn,
          headers: {
            Prefer: queryArg.prefer,
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["captions"],
      }),
      pickCaption: build.mutation<PickCaptionApiResponse, PickCaptionApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/${queryArg.imageId}/captions/${queryArg.captionId}/pick`,
          method: "POST",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["captions"],
      }),
      reportImage: build.mutation<ReportImageApiResponse, ReportImageApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/${queryArg.imageId}/report`,
          method: "POST",
          body: queryArg.reportIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
          params: {
            token: queryArg.token,
          },
        }),
        invalidatesTags: ["gallery"],
      }),
      listVersions: build.query<ListVersionsApiResponse, ListVersionsApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/images/${queryArg.imageId}/versions`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["captions"],
      }),
      restoreVersion: build.mutation<
        RestoreVersionApiResponse,
        RestoreVersionApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/images/${queryArg.imageId}/versions/${queryArg["number"]}/restore`,
          method: "POST",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["captions"],
      }),
      cancelJob: build.mutation<CancelJobApiResponse, CancelJobApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/jobs/${queryArg.jobId}/cancel`,
          method: "POST",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["jobs"],
      }),
      retryJob: build.mutation<RetryJobApiResponse, RetryJobApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/jobs/${queryArg.jobId}/retry`,
          method: "POST",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["jobs"],
      }),
      listKeys: build.query<ListKeysApiResponse, ListKeysApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/keys`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["people"],
      }),
      createKey: build.mutation<CreateKeyApiResponse, CreateKeyApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/keys`,
          method: "POST",
          body: queryArg.keyIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["people"],
      }),
      revokeKeys: build.mutation<RevokeKeysApiResponse, RevokeKeysApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/keys`,
          method: "DELETE",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
            "If-Match": queryArg["If-Match"],
          },
        }),
        invalidatesTags: ["people"],
      }),
      revokeKey: build.mutation<RevokeKeyApiResponse, RevokeKeyApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/keys/${queryArg.keyId}`,
          method: "DELETE",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["people"],
      }),
      getMe: build.query<GetMeApiResponse, GetMeApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/me`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["people"],
      }),
      changeMe: build.mutation<ChangeMeApiResponse, ChangeMeApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/me`,
          method: "PATCH",
          body: queryArg.meIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
            "If-Match": queryArg["If-Match"],
          },
        }),
        invalidatesTags: ["people"],
      }),
      deleteMe: build.mutation<DeleteMeApiResponse, DeleteMeApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/me`,
          method: "DELETE",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
            "If-Match": queryArg["If-Match"],
          },
        }),
        invalidatesTags: ["people"],
      }),
      listModels: build.query<ListModelsApiResponse, ListModelsApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/models`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["captions"],
      }),
      getModelCard: build.query<GetModelCardApiResponse, GetModelCardApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/models/${queryArg.model}/card`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["captions"],
      }),
      getSession: build.query<GetSessionApiResponse, GetSessionApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/session`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["people"],
      }),
      getSharedImage: build.query<
        GetSharedImageApiResponse,
        GetSharedImageApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/shared/${queryArg.token}`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["gallery"],
      }),
      getStats: build.query<GetStatsApiResponse, GetStatsApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/stats`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            days: queryArg.days,
          },
        }),
        providesTags: ["stats"],
      }),
      listWebhooks: build.query<ListWebhooksApiResponse, ListWebhooksApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/webhooks`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["webhooks"],
      }),
      createWebhook: build.mutation<
        CreateWebhookApiResponse,
        CreateWebhookApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/webhooks`,
          method: "POST",
          body: queryArg.webhookIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["webhooks"],
      }),
      changeWebhook: build.mutation<
        ChangeWebhookApiResponse,
        ChangeWebhookApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/webhooks/${queryArg.webhookId}`,
          method: "PATCH",
          body: queryArg.webhookChangeIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
            "If-Match": queryArg["If-Match"],
          },
        }),
        invalidatesTags: ["webhooks"],
      }),
      deleteWebhook: build.mutation<
        DeleteWebhookApiResponse,
        DeleteWebhookApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/webhooks/${queryArg.webhookId}`,
          method: "DELETE",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
            "If-Match": queryArg["If-Match"],
          },
        }),
        invalidatesTags: ["webhooks"],
      }),
      listDeliveries: build.query<
        ListDeliveriesApiResponse,
        ListDeliveriesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/webhooks/${queryArg.webhookId}/deliveries`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
          params: {
            cursor: queryArg.cursor,
            limit: queryArg.limit,
          },
        }),
        providesTags: ["webhooks"],
      }),
      testWebhook: build.mutation<TestWebhookApiResponse, TestWebhookApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/webhooks/${queryArg.webhookId}/test`,
          method: "POST",
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["webhooks"],
      }),
    }),
    overrideExisting: false,
  });
export { injectedRtkApi as api };
export type ListBulksApiResponse = /** status 200 OK */ PageBulkOut;
export type ListBulksApiArg = {
  cursor?: string;
  limit?: number;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type GetBulkApiResponse = /** status 200 OK */ BulkOut;
export type GetBulkApiArg = {
  bulkId: string;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type CancelBulkApiResponse = /** status 200 OK */ BulkOut;
export type CancelBulkApiArg = {
  bulkId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type ListBulkItemsApiResponse = /** status 200 OK */ PageBulkItemOut;
export type ListBulkItemsApiArg = {
  bulkId: string;
  state?: "" | "waiting" | "done" | "failed" | "cancelled";
  cursor?: string;
  limit?: number;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type PauseBulkApiResponse = /** status 200 OK */ BulkOut;
export type PauseBulkApiArg = {
  bulkId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type ResumeBulkApiResponse = /** status 200 OK */ BulkOut;
export type ResumeBulkApiArg = {
  bulkId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type GetAttentionApiResponse = /** status 200 OK */ AttentionOut;
export type GetAttentionApiArg = {
  captionId: string;
  token?: string;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type RateCaptionApiResponse = /** status 200 OK */ RatingOut;
export type RateCaptionApiArg = {
  captionId: string;
  token?: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  ratingIn: RatingIn;
};
export type UnrateCaptionApiResponse = unknown;
export type UnrateCaptionApiArg = {
  captionId: string;
  token?: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type ReplayDeliveryApiResponse = /** status 202 Accepted */ DeliveryOut;
export type ReplayDeliveryApiArg = {
  deliveryId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type NoteFeedbackApiResponse = /** status 200 OK */ NotedOut;
export type NoteFeedbackApiArg = {
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  feedbackIn: FeedbackIn;
};
export type ListImagesApiResponse = /** status 200 OK */ PageImageOut;
export type ListImagesApiArg = {
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
  cursor?: string;
  limit?: number;
  order?: "newest" | "oldest";
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type ActOnImagesApiResponse = /** status 200 OK */ ActedOut;
export type ActOnImagesApiArg = {
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  actionIn: ActionIn;
};
export type GetImageApiResponse = /** status 200 OK */ ImageOut;
export type GetImageApiArg = {
  imageId: string;
  token?: string;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type ChangeImageApiResponse = /** status 200 OK */ ImageOut;
export type ChangeImageApiArg = {
  imageId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  /** An ETag of a GET of this address: write only if nothing has changed since. */
  "If-Match"?: string;
  imageIn: ImageIn;
};
export type DeleteImageApiResponse = unknown;
export type DeleteImageApiArg = {
  imageId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  /** An ETag of a GET of this address: write only if nothing has changed since. */
  "If-Match"?: string;
};
export type EditCaptionApiResponse = /** status 200 OK */ VersionOut;
export type EditCaptionApiArg = {
  imageId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  /** An ETag of a GET of this address: write only if nothing has changed since. */
  "If-Match"?: string;
  textIn: TextIn;
};
export type ListCaptionsApiResponse = /** status 200 OK */ PageCandidateOut;
export type ListCaptionsApiArg = {
  imageId: string;
  token?: string;
  styled?: boolean | null;
  cursor?: string;
  limit?: number;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type RequestCaptionsApiResponse =
  /** status 200 OK */ CaptionJobOut | /** status 202 Accepted */ CaptionJobOut;
export type RequestCaptionsApiArg = {
  imageId: string;
  /** wait=N: wait up to N seconds (at most 60) for the result. */
  prefer?: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  captionOptionsIn: CaptionOptionsIn;
};
export type PickCaptionApiResponse = /** status 200 OK */ VersionOut;
export type PickCaptionApiArg = {
  imageId: string;
  captionId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type ReportImageApiResponse = /** status 201 Created */ ReportOut;
export type ReportImageApiArg = {
  imageId: string;
  token?: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  reportIn: ReportIn;
};
export type ListVersionsApiResponse = /** status 200 OK */ PageVersionOut;
export type ListVersionsApiArg = {
  imageId: string;
  cursor?: string;
  limit?: number;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type RestoreVersionApiResponse = /** status 200 OK */ VersionOut;
export type RestoreVersionApiArg = {
  imageId: string;
  number: number;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type CancelJobApiResponse = /** status 200 OK */ JobDetailOut;
export type CancelJobApiArg = {
  jobId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type RetryJobApiResponse = /** status 200 OK */ JobDetailOut;
export type RetryJobApiArg = {
  jobId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type ListKeysApiResponse = /** status 200 OK */ PageKeyOut;
export type ListKeysApiArg = {
  cursor?: string;
  limit?: number;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type CreateKeyApiResponse = /** status 201 Created */ NewKeyOut;
export type CreateKeyApiArg = {
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  keyIn: KeyIn;
};
export type RevokeKeysApiResponse = /** status 200 OK */ RevokedOut;
export type RevokeKeysApiArg = {
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  /** An ETag of a GET of this address: write only if nothing has changed since. */
  "If-Match"?: string;
};
export type RevokeKeyApiResponse = unknown;
export type RevokeKeyApiArg = {
  keyId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type GetMeApiResponse = /** status 200 OK */ MeOut;
export type GetMeApiArg = {
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type ChangeMeApiResponse = /** status 200 OK */ MeOut;
export type ChangeMeApiArg = {
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  /** An ETag of a GET of this address: write only if nothing has changed since. */
  "If-Match"?: string;
  meIn: MeIn;
};
export type DeleteMeApiResponse = unknown;
export type DeleteMeApiArg = {
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  /** An ETag of a GET of this address: write only if nothing has changed since. */
  "If-Match"?: string;
};
export type ListModelsApiResponse = /** status 200 OK */ PageModelOut;
export type ListModelsApiArg = {
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type GetModelCardApiResponse = /** status 200 OK */ ModelCardOut;
export type GetModelCardApiArg = {
  model: string;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type GetSessionApiResponse = /** status 200 OK */ SessionOut;
export type GetSessionApiArg = {
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type GetSharedImageApiResponse = /** status 200 OK */ ImageOut;
export type GetSharedImageApiArg = {
  token: string;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type GetStatsApiResponse = /** status 200 OK */ StatsOut;
export type GetStatsApiArg = {
  days?: number;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type ListWebhooksApiResponse = /** status 200 OK */ PageWebhookOut;
export type ListWebhooksApiArg = {
  cursor?: string;
  limit?: number;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type CreateWebhookApiResponse =
  /** status 201 Created */ WebhookSecretOut;
export type CreateWebhookApiArg = {
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  webhookIn: WebhookIn;
};
export type ChangeWebhookApiResponse = /** status 200 OK */ WebhookOut;
export type ChangeWebhookApiArg = {
  webhookId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  /** An ETag of a GET of this address: write only if nothing has changed since. */
  "If-Match"?: string;
  webhookChangeIn: WebhookChangeIn;
};
export type DeleteWebhookApiResponse = unknown;
export type DeleteWebhookApiArg = {
  webhookId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  /** An ETag of a GET of this address: write only if nothing has changed since. */
  "If-Match"?: string;
};
export type ListDeliveriesApiResponse = /** status 200 OK */ PageDeliveryOut;
export type ListDeliveriesApiArg = {
  webhookId: string;
  cursor?: string;
  limit?: number;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type TestWebhookApiResponse = /** status 202 Accepted */ DeliveryOut;
export type TestWebhookApiArg = {
  webhookId: string;
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
};
export type CountsOut = {
  total: number;
  waiting: number;
  done: number;
  failed: number;
  cancelled: number;
};
export type JobErrorOut = {
  code: string;
  message: string;
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
export type BulkOut = {
  id: string;
  name: string;
  /** queued, running, paused, done, failed or cancelled. */
  state: string;
  counts: CountsOut;
  error?: JobErrorOut | null;
  created_at: string;
  ended_at?: string | null;
  /** The voice that its photos are captioned in besides. */
  voice?: VoiceOut | null;
  /** By format: jsonl, csv, and zip for text files. */
  result_urls: {
    [key: string]: string;
  };
};
export type PageBulkOut = {
  items: BulkOut[];
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
export type BulkItemOut = {
  /** Its place in the archive or list, from 0. */
  number: number;
  file: string;
  /** waiting, done, failed or cancelled. */
  state: string;
  /** The photo; null before it is stored and after it is deleted. */
  image?: string | null;
  /** What the photo's caption is now; null while it has none. */
  caption?: string | null;
  error?: JobErrorOut | null;
  /** The captions that were written in the bulk's voice, best first. */
  styled: string[];
  /** Why there are none; the plain caption is there all the same. */
  styled_error?: JobErrorOut | null;
};
export type PageBulkItemOut = {
  items: BulkItemOut[];
  next?: string | null;
};
export type AttentionOut = {
  caption: string;
  words: string[];
  rows: number;
  columns: number;
  /** For each word rows x columns weights, row by row, 0 to 255; 255 is its own maximum. */
  maps: number[][];
};
export type RatingOut = {
  caption: string;
  value: 1 | -1;
};
export type RatingIn = {
  value: 1 | -1;
};
export type TryOut = {
  at: string;
  status_code?: number | null;
  error?: string;
  /** The beginning of the server's response. */
  answer?: string;
  duration_ms?: number;
};
export type DeliveryOut = {
  id: string;
  webhook: string;
  event?: number | null;
  type: string;
  body: {
    [key: string]: any;
  };
  /** waiting, delivered or failed. */
  state: string;
  attempts: number;
  status_code?: number | null;
  error?: string;
  tries: TryOut[];
  replay_of?: string | null;
  next_try_at?: string | null;
  created_at: string;
  ended_at?: string | null;
};
export type NotedOut = {
  noted: number;
};
export type SeenIn = {
  kind: "impression" | "copy";
  caption: string;
  /** Of a copy of a caption in a voice: whether with its hashtags. */
  hashtags?: boolean | null;
};
export type FeedbackIn = {
  events: SeenIn[];
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
export type PageImageOut = {
  items: ImageOut[];
  next?: string | null;
};
export type ActedOut = {
  changed: string[];
  /** Images that do not exist, are not yours, or cannot be changed this way. */
  failed: string[];
};
export type ActionIn = {
  ids: string[];
  action: "delete" | "undelete" | "set_visibility" | "add_tags" | "remove_tags";
  visibility?: ("private" | "unlisted" | "public") | null;
  tags?: string[];
};
export type ImageIn = {
  visibility?: ("private" | "unlisted" | "public") | null;
  tags?: string[] | null;
};
export type VersionOut = {
  number: number;
  text: string;
  by: "model" | "person";
  action: "generated" | "picked" | "edited" | "restored";
  /** Whether it is in a voice: then it is no alternative text. */
  styled?: boolean;
  /** name@version of what wrote it; empty for a person's. */
  model: string;
  /** The candidate that it is, or grew out of. */
  caption?: string | null;
  restored_from?: number | null;
  created_at: string;
};
export type TextIn = {
  text?: string | null;
  /** A candidate: shown as it is, or with text, what that grew out of. */
  caption?: string | null;
  /** Whether the text is in a voice; if left out, as what it grew out of. */
  styled?: boolean | null;
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
export type CaptionOut = {
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
};
export type CaptionJobOut = {
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
  captions?: CaptionOut[];
};
export type CaptionOptionsIn = {
  /** How words are chosen: beam keeps several sentences alive, greedy takes the likeliest word, sample draws. */
  strategy?: ("greedy" | "beam" | "sample") | null;
  /** Beam: sentences kept alive at once; without diversity, never fewer than n. */
  beam_size?: number | null;
  /** Beam: of several captions, what a word loses in log-probability for each earlier caption that has it at the same place (diverse beam search, Vijayakumar et al., 2018); the first caption is the one that n = 1 gives. 0 gives the likeliest captions, however alike. */
  diversity?: number | null;
  /** Beam: a sentence of T tokens, its end included, ranks by log_prob / T ** length_penalty. */
  length_penalty?: number | null;
  /** Fewest tokens before the end token. */
  min_length?: number | null;
  /** Most tokens before the end token; by default the model's limit. */
  max_length?: number | null;
  /** No run of this many tokens occurs twice in a sentence; 0 allows all. */
  no_repeat_ngram?: number | null;
  /** No word occurs twice, except function words such as "a" and "of". */
  no_repeat_words?: boolean | null;
  /** Sampling: below 1 is safer, above 1 bolder. */
  temperature?: number | null;
  /** Sampling: draw from the k likeliest tokens only; 0 is all. */
  top_k?: number | null;
  /** Sampling: draw from the likeliest tokens that together reach this probability. */
  top_p?: number | null;
  /** Sampling: the same photo and seed give the same captions. */
  seed?: number | null;
  /** Beam: where the model has a re-ranker, it finishes many sentences and chooses by their likeness to the photo, too; the first caption then comes of as many beams, whatever beam_size says. */
  rerank?: boolean | null;
  /** No guess of race, religion or illness, and of sex only where the model is sure: else a person, a child, people. */
  safe?: boolean | null;
  /** With safe: the share that one sex must have of the probability of words for both to be named; 1 names none. */
  sex_confidence?: number | null;
  /** The caption starts with exactly this text. */
  prefix?: string | null;
  /** How many captions. */
  n?: number | null;
  /** A model's id (GET /models). */
  model?: string | null;
};
export type ReportOut = {
  image: string;
  reason: string;
};
export type ReportIn = {
  reason:
    | "sexual"
    | "violent"
    | "hateful"
    | "privacy"
    | "copyright"
    | "spam"
    | "other";
  text?: string;
};
export type PageVersionOut = {
  items: VersionOut[];
  next?: string | null;
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
export type KeyOut = {
  id: string;
  name: string;
  /** Its first letters, to tell keys apart. */
  prefix: string;
  scopes: string[];
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
  revoked_at: string | null;
};
export type PageKeyOut = {
  items: KeyOut[];
  next?: string | null;
};
export type NewKeyOut = {
  id: string;
  name: string;
  /** Its first letters, to tell keys apart. */
  prefix: string;
  scopes: string[];
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
  revoked_at: string | null;
  /** The secret. Store it: it is never shown again. */
  key: string;
};
export type Scope =
  | "caption"
  | "images:read"
  | "images:write"
  | "bulk"
  | "webhooks"
  | "account"
  | "models";
export type KeyIn = {
  name: string;
  scopes: Scope[];
  /** With a time zone; null: it is valid until revoked. */
  expires_at?: string | null;
};
export type RevokedOut = {
  /** How many keys still worked. */
  revoked: number;
};
export type MeOut = {
  owner: string;
  user: string | null;
  email: string | null;
  name: string | null;
  role: string;
  /** Consent: may images and feedback train models? */
  may_train: boolean;
  may_train_changed_at: string | null;
  created_at: string;
};
export type MeIn = {
  name?: string | null;
  may_train?: boolean | null;
};
export type ModelOut = {
  id: string;
  name: string;
  version: string;
  is_default: boolean;
};
export type PageModelOut = {
  items: ModelOut[];
  next?: string | null;
};
export type PastModelOut = {
  /** name@version */
  model: string;
  /** From when on; null: from the beginning. */
  since: string | null;
  /** What it learned from. */
  learned: string;
  /** name@version of the models whose weights it began with. */
  parents: string[];
};
export type ModelCardOut = {
  licence: string;
  /** What it was trained on. */
  description: string;
  /** As measured on held-out data, by source. */
  metrics: {
    [key: string]: any;
  };
  /** Its model card, in Markdown. */
  card: string;
  /** Of the default model, where it comes from a registry: which versions captioned, the present one first. */
  past?: PastModelOut[];
};
export type ViewerOut = {
  /** Whom images belong to; null before the first write. */
  owner: string | null;
  /** The account; null without one. */
  user: string | null;
  /** For a key with the scope account, and for sessions. */
  email?: string | null;
  /** As email. */
  name?: string | null;
  role: string;
  /** What the key may do; null for a session. */
  scopes?: string[] | null;
};
export type LimitsOut = {
  max_upload_bytes: number;
  max_upload_files: number;
  max_pixels: number;
  max_bulk_bytes: number;
  max_bulk_items: number;
  max_images: number;
  /** Days after which images without an account are deleted. */
  anonymous_days: number;
  /** Seconds for which deleted images can be restored. */
  undo_s: number;
};
export type ProviderOut = {
  id: string;
  name: string;
};
export type SessionOut = {
  viewer: ViewerOut;
  limits: LimitsOut;
  providers: ProviderOut[];
  /** name@version of the model that writes captions. */
  model: string | null;
  /** The language it writes, a tag of BCP 47; null if its bundle does not say. */
  model_language: string | null;
};
export type LatencyOut = {
  median_s: number | null;
  p95_s: number | null;
};
export type DayOut = {
  date: string;
  uploads: number;
  /** New ones. */
  accounts: number;
  ratings_up: number;
  ratings_down: number;
  edits: number;
  picks: number;
  copies: number;
  failed_jobs: number;
  latency: LatencyOut;
};
export type QueueOut = {
  interactive: number;
  bulk: number;
  running: number;
  /** How long the oldest queued job has waited. */
  oldest_s: number | null;
};
export type ModelUseOut = {
  model: string;
  captions: number;
  ratings_up: number;
  ratings_down: number;
};
export type StatsOut = {
  since: string;
  days: DayOut[];
  queue: QueueOut;
  models: ModelUseOut[];
  images: number;
  public_images: number;
  accounts: number;
  /** Visitors without an account who have stored something. */
  anonymous: number;
  /** Waiting for a moderator to review their text, or the picture. */
  held_images: number;
  open_reports: number;
  failing_webhooks: number;
  failed_mails: number;
};
export type WebhookOut = {
  id: string;
  url: string;
  events: string[];
  is_active: boolean;
  created_at: string;
  /** The first failure since the last success. */
  failing_since?: string | null;
  /** When it was switched off because it kept failing. */
  disabled_at?: string | null;
  disabled_reason?: string;
};
export type PageWebhookOut = {
  items: WebhookOut[];
  next?: string | null;
};
export type WebhookSecretOut = {
  id: string;
  url: string;
  events: string[];
  is_active: boolean;
  created_at: string;
  /** The first failure since the last success. */
  failing_since?: string | null;
  /** When it was switched off because it kept failing. */
  disabled_at?: string | null;
  disabled_reason?: string;
  /** whsec_...: the key of the signatures, for Standard Webhooks libraries. */
  secret: string;
  /** Until when the previous secret signs, too. */
  previous_until?: string | null;
};
export type WebhookIn = {
  /** http or https, on the open internet. */
  url: string;
  /** Empty: all. There are image.created, image.changed, image.deleted, job.changed, caption.ready, styles.ready, caption.changed, bulk.progress, bulk.done, moderation.changed. */
  events?: string[];
};
export type WebhookChangeIn = {
  url?: string | null;
  events?: string[] | null;
  is_active?: boolean | null;
};
export type PageDeliveryOut = {
  items: DeliveryOut[];
  next?: string | null;
};
export const {
  useListBulksQuery,
  useGetBulkQuery,
  useCancelBulkMutation,
  useListBulkItemsQuery,
  usePauseBulkMutation,
  useResumeBulkMutation,
  useGetAttentionQuery,
  useRateCaptionMutation,
  useUnrateCaptionMutation,
  useReplayDeliveryMutation,
  useNoteFeedbackMutation,
  useListImagesQuery,
  useActOnImagesMutation,
  useGetImageQuery,
  useChangeImageMutation,
  useDeleteImageMutation,
  useEditCaptionMutation,
  useListCaptionsQuery,
  useRequestCaptionsMutation,
  usePickCaptionMutation,
  useReportImageMutation,
  useListVersionsQuery,
  useRestoreVersionMutation,
  useCancelJobMutation,
  useRetryJobMutation,
  useListKeysQuery,
  useCreateKeyMutation,
  useRevokeKeysMutation,
  useRevokeKeyMutation,
  useGetMeQuery,
  useChangeMeMutation,
  useDeleteMeMutation,
  useListModelsQuery,
  useGetModelCardQuery,
  useGetSessionQuery,
  useGetSharedImageQuery,
  useGetStatsQuery,
  useListWebhooksQuery,
  useCreateWebhookMutation,
  useChangeWebhookMutation,
  useDeleteWebhookMutation,
  useListDeliveriesQuery,
  useTestWebhookMutation,
} = injectedRtkApi;
