import { api } from "../../shared/api/generated";
export const addTagTypes = ["registry"] as const;
const injectedRtkApi = api
  .enhanceEndpoints({
    addTagTypes,
  })
  .injectEndpoints({
    endpoints: (build) => ({
      getRegistry: build.query<GetRegistryApiResponse, GetRegistryApiArg>({
        query: (queryArg) => ({
          url: `/api/v1/registry`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["registry"],
      }),
      promoteModel: build.mutation<PromoteModelApiResponse, PromoteModelApiArg>(
        {
          query: (queryArg) => ({
            url: `/api/v1/registry/promote`,
            method: "POST",
            body: queryArg.promoteIn,
            headers: {
              "Idempotency-Key": queryArg["Idempotency-Key"],
            },
          }),
          invalidatesTags: ["registry"],
        },
      ),
      rollBackModel: build.mutation<
        RollBackModelApiResponse,
        RollBackModelApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/registry/rollback`,
          method: "POST",
          body: queryArg.reasonIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["registry"],
      }),
      setChallengerShares: build.mutation<
        SetChallengerSharesApiResponse,
        SetChallengerSharesApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/registry/shares`,
          method: "PUT",
          body: queryArg.sharesIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["registry"],
      }),
      stopChallenger: build.mutation<
        StopChallengerApiResponse,
        StopChallengerApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/registry/stop`,
          method: "POST",
          body: queryArg.reasonIn,
          headers: {
            "Idempotency-Key": queryArg["Idempotency-Key"],
          },
        }),
        invalidatesTags: ["registry"],
      }),
      listModelVersions: build.query<
        ListModelVersionsApiResponse,
        ListModelVersionsApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/registry/versions`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["registry"],
      }),
      getModelVersion: build.query<
        GetModelVersionApiResponse,
        GetModelVersionApiArg
      >({
        query: (queryArg) => ({
          url: `/api/v1/registry/versions/${encodeURIComponent(String(queryArg.version))}`,
          headers: {
            "If-None-Match": queryArg["If-None-Match"],
          },
        }),
        providesTags: ["registry"],
      }),
    }),
    overrideExisting: false,
  });
export { injectedRtkApi as modelsApi };
export type GetRegistryApiResponse = /** status 200 OK */ RegistryOut;
export type GetRegistryApiArg = {
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type PromoteModelApiResponse = /** status 200 OK */ MoveOut;
export type PromoteModelApiArg = {
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  promoteIn: PromoteIn;
};
export type RollBackModelApiResponse = /** status 200 OK */ MoveOut;
export type RollBackModelApiArg = {
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  reasonIn: ReasonIn;
};
export type SetChallengerSharesApiResponse = /** status 200 OK */ SharesOut;
export type SetChallengerSharesApiArg = {
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  sharesIn: SharesIn;
};
export type StopChallengerApiResponse = /** status 200 OK */ MoveOut;
export type StopChallengerApiArg = {
  /** Repeat a write with the same key within a day, and it is done once. */
  "Idempotency-Key"?: string;
  reasonIn: ReasonIn;
};
export type ListModelVersionsApiResponse =
  /** status 200 OK */ ModelVersionsOut;
export type ListModelVersionsApiArg = {
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type GetModelVersionApiResponse =
  /** status 200 OK */ ModelVersionDetailOut;
export type GetModelVersionApiArg = {
  version: string;
  /** An ETag: if nothing has changed, the response is a bare 304. */
  "If-None-Match"?: string;
};
export type ServedOut = {
  id: string;
  alias: string;
  label: string;
  version: string;
  state: "current" | "refused" | "unreachable";
  /** The version that could not be loaded or failed its check. */
  refused: string;
  reason: string;
};
export type SharesOut = {
  /** Of the owners: their jobs are captioned by the challenger. */
  canary_percent: number;
  /** Of other jobs: it captions their photos, too, for nobody. */
  shadow_percent: number;
  /** Who changed it last; empty while the settings are in force. */
  by: string;
  why: string;
  since: string | null;
};
export type MeasureOut = {
  name: string;
  value: number | null;
  low: number | null;
  high: number | null;
  /** How many captions or photos it rests on. */
  of: number;
  is_share: boolean;
};
export type ArmOut = {
  version: string;
  captions: number;
  owners: number;
  measures: MeasureOut[];
};
export type ComparisonOut = {
  since: string;
  champion: ArmOut;
  challenger: ArmOut;
  shadow_photos: number;
  /** On photos that the champion captioned for people. */
  shadow: MeasureOut[];
  evidence: number;
  failure_evidence: number;
  stops_at: number;
  is_worse: boolean;
  reason: string;
};
export type MoveOut = {
  alias: string;
  action: "promote" | "rollback" | "clear";
  /** What it stands for from then on; empty for nothing. */
  version: string;
  previous: string;
  by: string;
  at: string;
  why: string;
  overrides_gates: boolean;
};
export type RunOut = {
  at: string;
  by: string;
  ending: "not started" | "rejected" | "challenger" | "failed";
  why: string;
  /** The challenger that it made; empty for none. */
  version: string;
  /** In its data set. */
  captions: number | null;
};
export type WaitingOut = {
  since: string | null;
  edits: number;
  picks: number;
  ratings: number;
  /** Owners who consent to training. */
  consenting: number;
  /** New captions that a run wants, as the last one said. */
  enough: number | null;
};
export type RegistryOut = {
  where: string;
  /** The alias that the service follows. */
  alias: string;
  /** The id of the version that it stands for. */
  champion: string;
  /** Empty while there is none. */
  challenger: string;
  /** When the alias was moved last; null if it never was. */
  since: string | null;
  models: ServedOut[];
  shares: SharesOut;
  comparison: ComparisonOut | null;
  moves: MoveOut[];
  runs: RunOut[];
  waiting: WaitingOut;
  /** What the registry does not tell, and why; empty if it tells all. */
  problem: string;
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
export type PromoteIn = {
  version: string;
  /** champion: for everybody; challenger: for the canary's share. */
  to?: "champion" | "challenger";
  /** Why; it is kept in the history. */
  why: string;
  /** The id that the alias must stand for until now, empty for nothing; otherwise 409. */
  expected?: string | null;
};
export type ReasonIn = {
  /** Why; it is kept in the history. */
  why: string;
  /** The id that the alias must stand for until now, empty for nothing; otherwise 409. */
  expected?: string | null;
};
export type SharesIn = {
  canary_percent?: number | null;
  shadow_percent?: number | null;
  /** Why; it is kept in the history. */
  why: string;
};
export type OutcomeOut = {
  passed: boolean;
  summary: string;
};
export type ModelVersionOut = {
  id: string;
  /** name@version */
  label: string;
  created: string;
  licence: string;
  /** What it learned from. */
  learned: string;
  /** The hash of that. */
  data: string;
  /** The ids of the versions whose weights it began with. */
  parents: string[];
  /** What stands for it. */
  aliases: string[];
  /** It ships with Cutline. */
  is_built_in: boolean;
  /** Its files were deleted. */
  is_pruned: boolean;
  gates: OutcomeOut | null;
  has_report: boolean;
  can_be_promoted: boolean;
};
export type RefusedOut = {
  id: string;
  why: string;
};
export type ModelVersionsOut = {
  items: ModelVersionOut[];
  refused: RefusedOut[];
};
export type GateOut = {
  name: string;
  about?: string;
  passed: boolean;
  figure?: number | null;
  threshold?: string;
  low?: number | null;
  high?: number | null;
  detail?: string;
};
export type NoteOut = {
  by: string;
  at: string;
  why: string;
};
export type ModelVersionDetailOut = {
  id: string;
  /** name@version */
  label: string;
  created: string;
  licence: string;
  /** What it learned from. */
  learned: string;
  /** The hash of that. */
  data: string;
  /** The ids of the versions whose weights it began with. */
  parents: string[];
  /** What stands for it. */
  aliases: string[];
  /** It ships with Cutline. */
  is_built_in: boolean;
  /** Its files were deleted. */
  is_pruned: boolean;
  gates: OutcomeOut | null;
  has_report: boolean;
  can_be_promoted: boolean;
  metrics: {
    [key: string]: any;
  };
  /** Its gates; empty without a report that can be read. */
  report: GateOut[];
  notes: NoteOut[];
  bytes: number;
};
export const {
  useGetRegistryQuery,
  usePromoteModelMutation,
  useRollBackModelMutation,
  useSetChallengerSharesMutation,
  useStopChallengerMutation,
  useListModelVersionsQuery,
  useGetModelVersionQuery,
} = injectedRtkApi;
