"""The function: which photos it captions, whom it tells, and what it asks to be sent again."""

from __future__ import annotations

import base64
import dataclasses
import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cutline.captioning.protocol import Caption, ModelInfo
from cutline.errors import ConfigError, FetchFailed, ImageMissing, ImageTooLarge
from cutline.serverless import aws, cloud_events, photos
from cutline.serverless.answers import Answer, Service, Topic
from cutline.serverless.events import NoEvent, StoredObject, objects_of
from cutline.serverless.function import Function, Settings
from cutline.serverless.photos import own_key
from cutline.signatures import fault_of, new_secret
from tests.captioning.tiny_bundle import make_bundle
from tests.serverless.cloud import KEY, Cloud, Photos, Sentences, a_cloud, s3_event, sqs_event

PHOTO = (Path(__file__).parents[2] / "examples" / "cat.jpg").read_bytes()
SECRET = new_secret()
ANSWER = Answer(
    key=KEY,
    captions=[
        Caption(text="a cat", log_prob=-1.5, confidence=0.7),
        Caption(text="an animal", log_prob=float("nan")),
    ],
    model=ModelInfo(name="m", version="1", bundle_hash="5" * 64),
)
FOUND = StoredObject(bucket="photos", key=KEY)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with a_cloud() as made:
        yield made


@pytest.fixture
def told() -> list[Answer]:
    return []


@pytest.fixture
def store() -> Photos:
    made = Photos(lambda found: own_key(found, "photos", ""))
    made.data[KEY] = PHOTO
    return made


@pytest.fixture
def function(store: Photos, told: list[Answer]) -> Function:
    return Function(Sentences(), store, told.append, candidates=2)


# -- events ----------------------------------------------------------------------------------------------


def test_the_new_objects_of_each_cloud_s_events_are_found() -> None:
    bridge = {"source": "aws.s3", "detail": {"bucket": {"name": "photos"}, "object": {"key": KEY}}}
    through_sns = {"Type": "Notification", "Message": json.dumps(s3_event())}
    google = {"kind": "storage#object", "bucket": "photos", "name": KEY, "generation": "1"}
    azure = {"api": "PutBlob", "url": f"https://account.blob.core.windows.net/photos/{KEY}"}
    minio = {"Key": f"photos/{KEY}", **s3_event(name="s3:ObjectCreated:Put")}
    filer = {"event_type": "create", "key": f"/buckets/photos/{KEY}", "message": {"new_entry": {"name": "x"}}}
    for event in (s3_event(), bridge, through_sns, google, azure, minio, filer):
        assert objects_of(event) == [FOUND], event
    assert objects_of(s3_event("a+b%2Fc%C3%A9")) == [StoredObject(bucket="photos", key="a b/cé")]


def test_what_tells_of_no_new_object_has_none() -> None:
    schedule = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos"}
    folder = {
        "event_type": "create",
        "key": "/buckets/photos/images",
        "message": {"new_entry": {"is_directory": 1}},
    }
    gone = {"event_type": "delete", "key": f"/buckets/photos/{KEY}", "message": {}}
    for event in (schedule, test, folder, gone, {}, {"warm": True}, s3_event(name="ObjectRemoved:Delete")):
        assert objects_of(event) == []


def test_what_is_no_event_is_refused() -> None:
    for event in (
        [],
        "text",
        None,
        {"Records": {}},
        {"Records": ["x"]},
        {"Records": [{"eventName": "ObjectCreated:Put"}]},
        s3_event(bucket=7),
        {"Type": "Notification", "Message": "{"},
        {"detail": []},
        {"bucket": "photos", "name": ""},
        {"url": 5},
    ):
        with pytest.raises(NoEvent):
            objects_of(event)


# -- which photos ----------------------------------------------------------------------------------------


def test_only_masters_of_the_one_store_are_the_function_s() -> None:
    for prefix in ("", "live"):
        start = f"{prefix}/" if prefix else ""
        mine = StoredObject(bucket="photos", key=start + KEY)
        assert own_key(mine, "photos", prefix) == KEY
        for other in (
            StoredObject(bucket="other", key=start + KEY),
            StoredObject(bucket="photos", key="elsewhere/" + KEY),
            StoredObject(bucket="photos", key=start + KEY.replace("-master.jpg", "-original.jpg")),
            StoredObject(bucket="photos", key=start + KEY.replace("-master.jpg", "-thumbnail.webp")),
            StoredObject(bucket="photos", key=start + KEY + "/../secret"),
            StoredObject(bucket="photos", key=start + "../" + KEY),
        ):
            assert own_key(other, "photos", prefix) is None, other


def test_a_photo_is_captioned_and_told_of(function: Function, told: list[Answer]) -> None:
    assert function.caption(FOUND)
    [answer] = told
    assert answer.key == KEY
    assert len(answer.captions) == 2
    assert answer.model.label == "sentences@1"


def test_what_is_gone_or_foreign_or_no_photo_is_told_to_nobody(
    function: Function, store: Photos, told: list[Answer]
) -> None:
    assert not function.caption(StoredObject(bucket="photos", key="images/x.txt"))
    store.data.clear()
    assert not function.caption(FOUND)
    assert told == []


def test_photos_are_read_from_a_bucket(cloud: Cloud) -> None:
    cloud.objects[f"/photos/live/{KEY}"] = PHOTO
    place = f"s3://photos/live?endpoint={cloud.url}"
    store = photos.open_photos(place, access_key="a", secret_key="b")
    assert store.key_of(StoredObject(bucket="photos", key=f"live/{KEY}")) == KEY
    assert store.read(KEY) == PHOTO
    with pytest.raises(ImageMissing):
        store.read(KEY.replace("0", "1"))


def test_photos_are_read_from_stores_that_fsspec_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    with fsspec.open(f"memory://photos/live/{KEY}", "wb") as file:
        file.write(PHOTO)
    store = photos.open_photos("memory://photos/live")
    assert store.key_of(StoredObject(bucket="photos", key=f"live/{KEY}")) == KEY
    assert store.read(KEY) == PHOTO
    with pytest.raises(ImageMissing):
        store.read(KEY.replace("0", "1"))
    small = dataclasses.replace(photos.DEFAULT_LIMITS, max_file_bytes=100)
    monkeypatch.setattr(photos, "DEFAULT_LIMITS", small)
    with pytest.raises(ImageTooLarge):
        store.read(KEY)


# -- whom it tells ---------------------------------------------------------------------------------------


def test_a_call_is_signed_and_says_what_the_photo_shows(cloud: Cloud) -> None:
    Service(cloud.url, f"{SECRET} {new_secret()}")(ANSWER)
    [(headers, body)] = cloud.calls
    assert fault_of([SECRET], headers, body) == ""
    assert fault_of([new_secret()], headers, body) != ""
    assert json.loads(body) == {
        "key": KEY,
        "captions": [
            {"text": "a cat", "log_prob": -1.5, "confidence": 0.7},
            {"text": "an animal", "log_prob": None},
        ],
        "model": {"name": "m", "version": "1", "hash": "5" * 64},
    }


def test_the_same_photo_and_model_are_the_same_message(cloud: Cloud) -> None:
    other = dataclasses.replace(ANSWER, model=ModelInfo(name="m", version="2"))
    for answer in (ANSWER, ANSWER, other):
        Service(cloud.url, SECRET)(answer)
    one, same, third = [headers["webhook-id"] for headers, _ in cloud.calls]
    assert one == same != third


def test_a_service_that_does_not_answer_is_called_again(cloud: Cloud) -> None:
    waits: list[float] = []
    cloud.statuses = [503, 429, 500, 502]
    Service(cloud.url, SECRET, sleep=waits.append)(ANSWER)
    assert len(cloud.calls) == 5
    assert waits == [7, 2, 4, 8]  # it asked for seven seconds
    assert all(fault_of([SECRET], headers, body) == "" for headers, body in cloud.calls)
    cloud.statuses = [503] * 9
    with pytest.raises(FetchFailed):
        Service(cloud.url, SECRET, sleep=waits.append)(ANSWER)


def test_nothing_is_sent_twice_that_nobody_waits_for(cloud: Cloud) -> None:
    for status in (404, 409, 410):
        cloud.statuses = [status]
        Service(cloud.url, SECRET, sleep=pytest.fail)(ANSWER)
    for status in (301, 400, 401, 403, 422):
        cloud.statuses = [status]
        with pytest.raises(FetchFailed, match=str(status)):
            Service(cloud.url, SECRET, sleep=pytest.fail)(ANSWER)
    assert len(cloud.calls) == 8  # and no redirect was followed


def test_a_service_that_cannot_be_reached_is_an_error() -> None:
    waits: list[float] = []
    with pytest.raises(FetchFailed):
        Service("http://127.0.0.1:9", SECRET, sleep=waits.append)(ANSWER)
    assert waits == [1, 2, 4, 8]


def test_captions_are_sent_encrypted_or_not_at_all() -> None:
    for url in ("https://cutline.example.com", "http://localhost:8000", "http://web.cutline.svc:8000"):
        Service(url, SECRET)
    for url in (
        "http://cutline.example.com",
        "http://10.0.0.7",
        "http://evil.svc.example.com",
        "ftp://x",
        "",
    ):
        with pytest.raises(ConfigError):
            Service(url, SECRET)
    for secret in ("", "short", "whsec_", "whsec_c2hvcnQ=", f"{SECRET} other"):
        with pytest.raises(ConfigError):
            Service("https://cutline.example.com", secret)


def test_a_topic_is_published_to() -> None:
    published: list[dict[str, str]] = []

    class Client:
        def publish(self, **words: str) -> None:
            published.append(words)

    arn = "arn:aws:sns:eu-central-1:123456789012:captions"
    Topic(arn, Client())(ANSWER)
    assert published == [{"TopicArn": arn, "Message": ANSWER.body().decode()}]


def test_no_secret_stands_in_what_is_printed() -> None:
    shown = repr(Settings(callback_secret=SECRET, storage_access_key="access", storage_secret_key="hidden"))
    assert not {word for word in (SECRET, "access", "hidden") if f"'{word}'" in shown}


# -- AWS Lambda ------------------------------------------------------------------------------------------


class Invocation:
    """A call with so much time left."""

    def __init__(self, left_ms: int = 60_000) -> None:
        self._left_ms = left_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._left_ms


@pytest.fixture
def on_lambda(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "the_function", lambda: function)


@pytest.mark.usefixtures("on_lambda")
def test_of_a_batch_those_messages_come_again_that_failed(told: list[Answer]) -> None:
    batch = sqs_event(good=s3_event(), broken="{", foreign=s3_event("other.txt"), empty={}, wrong=[1])
    failed = aws.handler(batch, Invocation())
    assert failed == {"batchItemFailures": [{"itemIdentifier": "broken"}, {"itemIdentifier": "wrong"}]}
    assert len(told) == 1


@pytest.mark.usefixtures("on_lambda")
def test_of_a_batch_those_come_again_for_which_no_time_is_left(told: list[Answer]) -> None:
    failed = aws.handler(sqs_event(one=s3_event(), two=s3_event()), Invocation(left_ms=100))
    assert failed == {"batchItemFailures": [{"itemIdentifier": "one"}, {"itemIdentifier": "two"}]}
    assert told == []


@pytest.mark.usefixtures("on_lambda")
def test_an_event_of_s3_is_done_or_raises(store: Photos, told: list[Answer]) -> None:
    assert aws.handler(s3_event(), Invocation()) == {}
    assert aws.handler({"warm": True}, Invocation()) == {}
    assert len(told) == 1
    store.broken = True
    with pytest.raises(OSError, match="away"):
        aws.handler(s3_event(), Invocation())
    assert aws.handler(sqs_event(one=s3_event()), Invocation()) == {
        "batchItemFailures": [{"itemIdentifier": "one"}]
    }


def test_on_lambda_s_own_runtime(cloud: Cloud, tmp_path: Path) -> None:
    """The process that the image starts, with AWS's runtime client, against a runtime API."""
    cloud.objects[f"/photos/{KEY}"] = PHOTO
    other = KEY.replace("0123", "4567")  # is not there
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CUTLINE_")},
        "AWS_LAMBDA_RUNTIME_API": cloud.url.removeprefix("http://"),
        "CUTLINE_STORAGE_URL": f"s3://photos?endpoint={cloud.url}",
        "CUTLINE_STORAGE_ACCESS_KEY": "a",
        "CUTLINE_STORAGE_SECRET_KEY": "b",
        "CUTLINE_PUBLIC_URL": cloud.url,
        "CUTLINE_CALLBACK_SECRET": SECRET,
        "CUTLINE_MODEL": str(make_bundle(tmp_path / "tiny")),
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cutline.serverless"], env=environment, stdout=log, stderr=log
        )
    try:
        cloud.events.put(sqs_event(one=s3_event(), two="{", three=s3_event(other)))
        try:
            kind, answer = cloud.answers.get(timeout=120)
        except Exception:
            pytest.fail((tmp_path / "log").read_text())
        assert (kind, answer) == ("response", {"batchItemFailures": [{"itemIdentifier": "two"}]})
        [(headers, body)] = cloud.calls
        assert fault_of([SECRET], headers, body) == ""
        assert json.loads(body)["key"] == KEY
        assert len(json.loads(body)["captions"]) == 3
        cloud.events.put({"Records": [{"eventName": "ObjectCreated:Put"}]})
        kind, answer = cloud.answers.get(timeout=120)
        assert kind == "error"
    finally:
        process.kill()
        process.wait()


# -- CloudEvents -----------------------------------------------------------------------------------------


@pytest.fixture
def port(function: Function) -> Iterator[int]:
    with cloud_events.Server(("127.0.0.1", 0), function) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(
    port: int, method: str, path: str = "/", body: object = None, **headers: str
) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection.request(method, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, dict(response.getheaders())


ATTRIBUTES = {
    "specversion": "1.0",
    "id": "1",
    "source": "//storage",
    "type": "object.v1.finalized",
}
BINARY: dict[str, Any] = {f"ce_{name}": value for name, value in ATTRIBUTES.items()}
STRUCTURED: dict[str, Any] = {"Content_Type": "application/cloudevents+json; charset=UTF-8"}
DATA = {"bucket": "photos", "name": KEY}


def test_cloud_events_in_each_mode_are_done(port: int, told: list[Answer]) -> None:
    encoded = base64.b64encode(json.dumps(DATA).encode()).decode()
    for body, headers in (
        (DATA, BINARY),
        ({**ATTRIBUTES, "data": DATA}, STRUCTURED),
        ({**ATTRIBUTES, "data_base64": encoded}, STRUCTURED),
        (s3_event(), {"Content_Type": "application/json"}),  # as MinIO posts it
    ):
        assert ask(port, "POST", body=body, **headers)[0] == 204
    assert len(told) == 4
    assert ask(port, "POST", body={}, **BINARY)[0] == 204
    assert ask(port, "POST", body=ATTRIBUTES, **STRUCTURED)[0] == 204
    assert len(told) == 4


def test_what_is_no_cloud_event_is_refused(port: int, told: list[Answer]) -> None:
    for body, headers in (
        (b"{", BINARY),
        (b"\xff\xfe", BINARY),
        (DATA, {**BINARY, "ce_id": ""}),
        (DATA, {**BINARY, "ce_specversion": "0.3"}),
        ({**ATTRIBUTES, "id": 5, "data": DATA}, STRUCTURED),
        ({**ATTRIBUTES, "data_base64": "*"}, STRUCTURED),
        ([ATTRIBUTES], STRUCTURED),
        (b"", STRUCTURED),
    ):
        assert ask(port, "POST", body=body, **headers)[0] == 400, (body, headers)
    # By its length alone: of what is sent, a server that closes would break the pipe.
    assert ask(port, "POST", body=None, Content_Length=str(2**20 + 1), **BINARY)[0] == 413
    assert told == []


def test_what_may_be_done_later_is_sent_again(port: int, store: Photos) -> None:
    store.broken = True
    assert ask(port, "POST", body=DATA, **BINARY)[0] == 503


def test_it_tells_that_it_lives_and_that_azure_may_send(port: int) -> None:
    assert ask(port, "GET", "/healthz")[0] == 200
    assert ask(port, "GET", "/")[0] == 404
    status, headers = ask(port, "OPTIONS", WebHook_Request_Origin="eventgrid.azure.net")
    assert (status, headers["WebHook-Allowed-Origin"]) == (200, "eventgrid.azure.net")
