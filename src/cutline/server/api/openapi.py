"""The OpenAPI document, with what the middleware adds to every endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from cutline.server.api.middleware import once
from cutline.server.api.problems import PROBLEM_JSON
from cutline.server.api.schemas import ProblemOut

METHODS = frozenset({"get", "post", "put", "patch", "delete"})
WRITES = METHODS - {"get"}
PROBLEM_REF = {"$ref": "#/components/schemas/ProblemOut"}

# What the middleware itself may answer, whatever the endpoint does.
FRAME_PROBLEMS: Mapping[int, str] = {
    400: "The request is malformed.",
    401: "The key or session does not work, or an account is needed.",
    403: "The key lacks a scope, or the request came from another site.",
    422: "The request is invalid; `errors` lists each field.",
    429: "Too many requests; Retry-After says when to come back.",
    500: "Internal error.",
    503: "Something the service depends on is unavailable; Retry-After says when to retry.",
}
WRITE_PROBLEMS: Mapping[int, str] = {
    409: "Conflicts with the current state, or with another request with the same Idempotency-Key.",
    413: "The body is too large.",
    415: "The body's content type is not supported here.",
}
IF_MATCH_PROBLEM = "The resource has changed since the version in If-Match."

RATE_HEADERS = ("RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
HEADERS: Mapping[str, Any] = {
    "RateLimit": {"description": '"policy";r=REMAINING;t=SECONDS', "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": '"policy";q=QUOTA;w=SECONDS', "schema": {"type": "string"}},
    "RateLimit-Limit": {"description": "Requests in a window.", "schema": {"type": "integer"}},
    "RateLimit-Remaining": {"description": "Requests left.", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "Seconds until there are more.", "schema": {"type": "integer"}},
    "ETag": {"description": "The version of this response.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "Idempotent-Replayed": {
        "description": "true: this is the response to the first request with this key.",
        "schema": {"type": "string"},
    },
}
PARAMETERS: Mapping[str, Any] = {
    "IdempotencyKey": {
        "in": "header",
        "name": "Idempotency-Key",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
        "description": "Repeat a write with the same key within a day, and it is done once.",
    },
    "IfNoneMatch": {
        "in": "header",
        "name": "If-None-Match",
        "required": False,
        "schema": {"type": "string"},
        "description": "An ETag: if nothing has changed, the response is a bare 304.",
    },
    "IfMatch": {
        "in": "header",
        "name": "If-Match",
        "required": False,
        "schema": {"type": "string"},
        "description": "An ETag of a GET of this address: write only if nothing has changed since.",
    },
}


class CutlineAPI(NinjaAPI):
    """NinjaAPI whose document tells the whole truth, and whose operations are named by their functions."""

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        self.add_decorator(once, mode="view")
        self._documents: dict[str, OpenAPISchema] = {}

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The function's name: what generated clients call it."""
        return operation.view_func.__name__

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """The document, made once for each prefix."""
        prefix = self.get_root_path(path_params or {}) if path_prefix is None else path_prefix
        if prefix not in self._documents:
            self._documents[prefix] = self._document(prefix)
        return self._documents[prefix]

    def _document(self, prefix: str) -> OpenAPISchema:
        schema = super().get_openapi_schema(path_prefix=prefix)
        schema.add_schema_definitions(_problem_schemas())
        components = schema["components"]
        components["headers"] = dict(HEADERS)
        components["parameters"] = dict(PARAMETERS)
        components["responses"] = {
            str(status): _problem(text, status)
            for status, text in {**FRAME_PROBLEMS, **WRITE_PROBLEMS, 412: IF_MATCH_PROBLEM}.items()
        }
        components.setdefault("securitySchemes", {})["Session"] = {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "What a browser sends after signing in, or its first upload. With https its name"
            " is __Host-sessionid.",
        }
        for path, methods in schema["paths"].items():
            readable = "get" in methods
            for method, operation in _operations(methods):
                _complete(operation, method, readable=readable, path=path)
        schema["components"]["schemas"] = dict(sorted(components["schemas"].items()))
        schema["paths"] = dict(sorted(schema["paths"].items()))
        return schema


def _operations(methods: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for method in sorted(METHODS & methods.keys()):
        yield method, methods[method]


def _complete(operation: dict[str, Any], method: str, *, readable: bool, path: str) -> None:
    """Add the middleware's parameters, answers and headers to one operation."""
    writes = method in WRITES
    names = ["IdempotencyKey"] if writes else ["IfNoneMatch"]
    adds_if_match = readable and method in ("put", "patch", "delete")
    if adds_if_match:
        names.append("IfMatch")
    operation["parameters"] = [
        *operation.get("parameters", ()),
        *({"$ref": f"#/components/parameters/{name}"} for name in names),
    ]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        match content["schema"]:
            case {"allOf": [schema], "default": _}:  # it may be left out, which "required" says already
                content["schema"] = schema
    responses = {int(status): answer for status, answer in operation["responses"].items()}
    for status, answer in responses.items():
        if status >= 400:
            responses[status] = _problem(answer["description"], status)
        else:
            answer.setdefault("headers", {}).update(_header_refs(method, status))
    if not writes and 200 in responses:
        responses.setdefault(304, {"description": "Nothing changed since the version of If-None-Match."})
    statuses = [*FRAME_PROBLEMS, *(WRITE_PROBLEMS if writes else ()), *((412,) if adds_if_match else ())]
    for status in statuses:
        responses.setdefault(status, {"$ref": f"#/components/responses/{status}"})
    operation["responses"] = {str(status): responses[status] for status in sorted(responses)}
    if any("ViewerAuth" in each for each in operation.get("security", ())):
        operation["security"] = [{"ViewerAuth": []}, {"Session": []}, {}]


def _header_refs(method: str, status: int) -> dict[str, Any]:
    names = [*RATE_HEADERS]
    if method == "get" and status == 200:
        names.append("ETag")
    if method in WRITES:
        names.append("Idempotent-Replayed")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _problem(description: str, status: int) -> dict[str, Any]:
    names = [*RATE_HEADERS, *(["Retry-After"] if status in (429, 503) else [])]
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {PROBLEM_JSON: {"schema": PROBLEM_REF}},
    }


def _problem_schemas() -> dict[str, Any]:
    schema = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    return {**schema.pop("$defs", {}), "ProblemOut": schema}
