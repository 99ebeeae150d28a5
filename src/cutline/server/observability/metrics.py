"""Every metric of the service, in one place. Times in seconds, sizes in bytes."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that nobody asks for

_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STAGE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_JOB_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)

# Web
REQUESTS = Counter("cutline_http_requests", "Responses, by route template.", ["method", "route", "status"])
REQUEST_S = Histogram(
    "cutline_http_request_seconds", "Time from request to response.", ["method", "route"], buckets=_REQUEST_S
)
REQUESTS_NOW = Gauge("cutline_http_requests_in_progress", "Requests in progress.")
RATE_LIMITED = Counter("cutline_rate_limited", "Requests refused by a rate limit.", ["limit"])
UPLOADS = Counter("cutline_uploads", "Uploaded photos: created, exists, or the error's code.", ["outcome"])
WEBSOCKETS = Gauge("cutline_websockets", "Open websockets.")

# Jobs
JOBS = Counter(
    "cutline_jobs",
    "Jobs: done, failed, cancelled, retried, released, unanswered, lost.",
    ["kind", "outcome"],
)
JOB_WAIT_S = Histogram(
    "cutline_job_wait_seconds", "Time from creation to the first claim.", ["kind", "priority"], buckets=_JOB_S
)
JOB_S = Histogram(
    "cutline_job_seconds", "Time from creation to the end.", ["kind", "priority"], buckets=_JOB_S
)
STAGE_S = Histogram(
    "cutline_job_stage_seconds", "Time of one stage of a job.", ["kind", "stage"], buckets=_STAGE_S
)
JOBS_NOW = Gauge("cutline_jobs_in_hand", "Jobs that this process is working on.")

# Model
MODEL_S = Histogram(
    "cutline_model_seconds", "Duration of a forward pass with its decoding.", buckets=_STAGE_S
)
BATCH_SIZE = Histogram(
    "cutline_batch_size", "Photos per forward pass.", buckets=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
)
STYLED = Counter("cutline_styled_captions", "Captions in a voice: written, refused.", ["outcome"])
STYLED_S = Histogram(
    "cutline_styling_seconds",
    "Time in which a language model wrote what a request asked for.",
    buckets=_STAGE_S,
)
MODEL_SWAPS = Counter("cutline_model_swaps", "Changes to the version that an alias stands for.", ["model"])
CHALLENGER_FAILURES = Counter(
    "cutline_challenger_failures",
    "Photos that the challenger failed on, so that the champion captioned them.",
)
MODEL_KEPT = Gauge(
    "cutline_model_kept",
    "1 where the model in use is not the version that its alias stands for: refused, or no answer.",
    ["model"],
)
CAPTIONS = Counter("cutline_captions", "Captions that the model wrote.", ["model"])

# What goes out
MAILS = Counter("cutline_mails", "Mails: sent, failed, retried.", ["outcome"])
DELIVERIES = Counter("cutline_webhook_deliveries", "Webhook calls: delivered, failed, retried.", ["outcome"])
SWEEP_S = Histogram(
    "cutline_sweep_seconds", "Duration of one part of the periodic sweep.", ["part"], buckets=_JOB_S
)
SWEEP_ERRORS = Counter("cutline_sweep_errors", "Parts of the sweep that failed.", ["part"])
