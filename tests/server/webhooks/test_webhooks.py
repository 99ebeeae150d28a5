"""Webhooks against a real receiver: what it gets, how often, and when we stop."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail
from django.db import connections, transaction
from django.utils import timezone

from cutline.errors import AddressForbidden
from cutline.server.errors import Conflict, Invalid, QuotaExceeded
from cutline.server.events.services import emit, emit_all
from cutline.server.people.models import Owner, User
from cutline.server.rates import RateLimited
from cutline.server.webhooks import deliveries, services, signing
from cutline.server.webhooks.models import Delivery, Webhook
from tests.server.events.samples import sample
from tests.server.services.process import wait_until
from tests.server.services.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

Configure = Callable[..., object]


@pytest.fixture
def path() -> str:
    """A path of the receiver that no other test calls."""
    return f"/hook/{uuid4().hex}"


@pytest.fixture
def owner() -> Owner:
    user = User.objects.create_user("ada@example.org", "a long enough password")
    return Owner.objects.get_or_create(user=user)[0]


@pytest.fixture
def webhook(owner: Owner, receiver: Receiver, path: str, configure: Configure) -> Webhook:
    configure(fetch_allow="127.0.0.0/8")
    return services.create(owner, receiver.url + path)


@pytest.fixture(autouse=True)
def _busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call is slow by itself, however slow the machine."""
    monkeypatch.setattr(deliveries, "SLOW_S", 600.0)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried again by itself while a test runs, however slow the machine."""
    monkeypatch.setattr(deliveries, "RETRY_S", (3600,) * len(deliveries.RETRY_S))


def _happen(owner: Owner, type: str = "caption.ready", **data: object) -> None:
    with transaction.atomic():
        emit(owner.pk, type, sample(type, **data))


def _again_now() -> None:
    """Let all that waits be due, as if its time had come."""
    Delivery.objects.update(run_after=timezone.now())
    Webhook.objects.update(held_until=None)


@pytest.mark.both_databases
def test_an_event_arrives_signed(webhook: Webhook, owner: Owner, receiver: Receiver, path: str) -> None:
    image = str(uuid4())
    _happen(owner, image=image, caption="a dog on a beach, wähl")
    assert deliveries.deliver_due() == 1

    [call] = receiver.at(path)
    signing.verify(webhook.secret, call.headers, call.body)
    body = json.loads(call.body)
    assert body["type"] == "caption.ready"
    assert body["data"]["image"] == image
    assert body["data"]["caption"] == "a dog on a beach, wähl"
    assert call.headers["content-type"] == "application/json"
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.status_code, delivery.attempts) == ("delivered", 204, 1)
    assert delivery.tries[0]["status_code"] == 204


def test_only_events_that_were_asked_for_are_sent(webhook: Webhook, owner: Owner) -> None:
    services.change(webhook, events=["image.deleted"])
    _happen(owner, "caption.ready")
    _happen(owner, "image.deleted")
    assert [each.type for each in Delivery.objects.all()] == ["image.deleted"]


def test_of_events_at_once_each_webhook_gets_those_that_it_asked_for(webhook: Webhook, owner: Owner) -> None:
    services.change(webhook, events=["image.deleted", "caption.ready"])
    told = [(type, sample(type)) for type in ("job.changed", "caption.ready", "image.deleted")]
    events = emit_all(owner.pk, told)
    found = Delivery.objects.order_by("created_at").values_list("type", "event_id")
    assert list(found) == [(event.type, event.pk) for event in events[1:]]


def test_somebody_else_s_events_are_not_sent(webhook: Webhook) -> None:
    _happen(Owner.objects.create())
    assert not Delivery.objects.exists()


def test_an_event_that_is_rolled_back_is_not_sent(webhook: Webhook, owner: Owner) -> None:
    with transaction.atomic():
        emit(owner.pk, "caption.ready", sample("caption.ready"))
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()


def test_a_failing_call_is_tried_again_later_and_later(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str
) -> None:
    receiver.failures[path] = 2
    _happen(owner)
    for least_s, most_s in ((4, 10), (50, 80), (0, 0)):
        _again_now()
        began = timezone.now()
        assert deliveries.deliver_due() == 1
        ended, delivery = timezone.now(), Delivery.objects.get()
        if delivery.state == "waiting":
            least, most = timedelta(seconds=least_s), timedelta(seconds=most_s)
            assert began + least < delivery.run_after < ended + most
    assert [call.status for call in receiver.at(path)] == [500, 500, 204]
    assert len({call.headers["webhook-id"] for call in receiver.at(path)}) == 1
    assert (delivery.state, delivery.attempts) == ("delivered", 3)
    webhook.refresh_from_db()
    assert webhook.failing_since is None


def test_a_call_that_never_succeeds_fails_after_the_last_try(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str
) -> None:
    receiver.failures[path] = 1000
    _happen(owner)
    for _ in range(len(deliveries.RETRY_S) + 3):
        _again_now()
        deliveries.deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("failed", len(deliveries.RETRY_S) + 1)
    assert len(receiver.at(path)) == len(deliveries.RETRY_S) + 1


def test_while_a_webhook_fails_its_other_calls_wait(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str, patient: None
) -> None:
    receiver.failures[path] = 1
    for _ in range(5):
        _happen(owner)
    assert deliveries.deliver_due() == 1
    _again_now()
    assert deliveries.deliver_due() == 5


def test_a_webhook_that_fails_for_days_is_disabled_and_its_owner_told(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str
) -> None:
    receiver.failures[path] = 2
    _happen(owner)
    deliveries.deliver_due()
    webhook.refresh_from_db()
    assert webhook.failing_since is not None
    assert webhook.is_active
    Webhook.objects.update(failing_since=timezone.now() - deliveries.GIVE_UP - timedelta(hours=1))
    _again_now()
    deliveries.deliver_due()
    webhook.refresh_from_db()
    assert not webhook.is_active
    assert "500" in webhook.disabled_reason
    told = _mails_to("ada@example.org")
    assert len(told) == 1

    _again_now()
    assert deliveries.deliver_due() == 0
    services.change(webhook, is_active=True)
    assert deliveries.deliver_due() == 1
    assert Delivery.objects.get().state == "delivered"


def _mails_to(address: str) -> list[object]:
    from cutline.server.mail.models import Mail

    sent = [message for message in getattr(mail, "outbox", []) if address in message.recipients()]
    return [*sent, *Mail.objects.filter(recipient=address)]


def test_an_address_that_became_private_is_not_called(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str, configure: Configure
) -> None:
    configure(fetch_allow="")
    _happen(owner)
    deliveries.deliver_due()
    assert not receiver.at(path)
    assert "open internet" in Delivery.objects.get().error


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/",
        "http://0.0.0.0/",
        "http://localhost:9000/",
        "http://api.LocalHost./",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "ftp://example.org/",
    ],
)
def test_a_webhook_cannot_be_made_for_a_private_address(owner: Owner, url: str) -> None:
    with pytest.raises(AddressForbidden):
        services.create(owner, url)


def test_a_replay_is_the_same_message_once_more(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str
) -> None:
    _happen(owner)
    deliveries.deliver_due()
    first = Delivery.objects.get()
    again = services.replay(first)
    with pytest.raises(Conflict):
        services.replay(again)
    deliveries.deliver_due()
    one, two = receiver.at(path)
    assert one.body == two.body
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert again.replay_of == first


def test_a_test_call_is_made_once_whatever_comes_of_it(
    webhook: Webhook, receiver: Receiver, path: str
) -> None:
    receiver.failures[path] = 1
    services.send_test(webhook)
    deliveries.deliver_due()
    _again_now()
    deliveries.deliver_due()
    [call] = receiver.at(path)
    assert json.loads(call.body)["type"] == "webhook.test"
    webhook.refresh_from_db()
    assert webhook.failing_since is None


@pytest.mark.parametrize("asked", ["test", "replay"])
def test_a_call_that_somebody_asks_for_does_not_wait_for_the_next_try(
    asked: str, webhook: Webhook, owner: Owner, receiver: Receiver, path: str, patient: None
) -> None:
    _happen(owner)
    deliveries.deliver_due()
    receiver.failures[path] = 1
    _happen(owner)
    deliveries.deliver_due()
    if asked == "test":
        services.send_test(webhook)
    else:
        services.replay(Delivery.objects.get(state="delivered"))
    deliveries.deliver_due()
    assert len(receiver.at(path)) == 3


def test_after_a_new_secret_the_old_one_signs_for_a_day(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str
) -> None:
    old = webhook.secret
    services.rotate_secret(webhook)
    _happen(owner)
    deliveries.deliver_due()
    Webhook.objects.update(previous_until=timezone.now() - timedelta(seconds=1))
    _happen(owner)
    deliveries.deliver_due()
    one, two = receiver.at(path)
    signing.verify(old, one.headers, one.body)
    signing.verify(webhook.secret, one.headers, one.body)
    signing.verify(webhook.secret, two.headers, two.body)
    with pytest.raises(Invalid):
        signing.verify(old, two.headers, two.body)


@pytest.mark.both_databases
def test_a_delivery_whose_worker_died_goes_to_another(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str
) -> None:
    _happen(owner)
    assert deliveries.claim() is not None
    assert deliveries.claim() is None
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert deliveries.deliver_due() == 1
    assert len(receiver.at(path)) == 1


def test_a_worker_that_lost_its_lease_records_nothing(webhook: Webhook, owner: Owner) -> None:
    _happen(owner)
    delivery = deliveries.claim()
    assert delivery is not None
    Delivery.objects.update(lease_token=uuid4())
    deliveries.attempt(delivery)
    assert Delivery.objects.get().state == "waiting"


@pytest.mark.both_databases
def test_workers_at_once_make_each_call_once(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str
) -> None:
    for number in range(20):
        _happen(owner, caption=f"a dog, {number}")

    def work() -> None:
        deliveries.deliver_due()
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [json.loads(call.body)["data"]["caption"] for call in receiver.at(path)]
    assert sorted(said) == sorted(f"a dog, {number}" for number in range(20))


def test_there_is_a_limit_to_webhooks(owner: Owner) -> None:
    anonymous = Owner.objects.create()
    for _ in range(services.MAX_WEBHOOKS_ANONYMOUS):
        services.create(anonymous, "https://example.org/hook")
    with pytest.raises(QuotaExceeded):
        services.create(anonymous, "https://example.org/hook")
    services.create(owner, "https://example.org/hook")


def test_unknown_events_are_refused(owner: Owner) -> None:
    with pytest.raises(Invalid, match=r"no\.such"):
        services.create(owner, "https://example.org/hook", ["no.such"])


@pytest.mark.both_databases
def test_the_log_forgets_what_is_old_and_the_text_of_deleted_images(webhook: Webhook, owner: Owner) -> None:
    image = uuid4()
    _happen(owner, image=str(image), caption="a secret")
    _happen(owner, "image.deleted", image=str(image))
    _happen(owner)
    deliveries.forget_images([image])
    assert [each.type for each in Delivery.objects.order_by("pk") if each.image_id == image] == [
        "image.deleted"
    ]
    Delivery.objects.update(created_at=timezone.now() - deliveries.KEEP - timedelta(hours=1))
    deliveries.sweep()
    assert not Delivery.objects.exists()


# -- fair shares ---------------------------------------------------------------------------------------------


@pytest.fixture
def hanging(receiver: Receiver, configure: Configure) -> Iterator[Callable[[], str]]:
    """Make addresses whose server takes calls and does not answer before the test ends."""
    configure(fetch_allow="127.0.0.0/8")
    gate, paths = threading.Event(), []

    def make() -> str:
        paths.append(f"/hangs/{uuid4().hex}")
        receiver.gates[paths[-1]] = gate
        return receiver.url + paths[-1]

    yield make
    gate.set()


@contextlib.contextmanager
def _callers(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> Iterator[None]:
    """As many callers as a worker has threads for messages; calls take until the end of the block."""
    monkeypatch.setattr(deliveries, "_callers", deliveries._Callers())
    monkeypatch.setattr(deliveries, "TIMEOUT_S", 600.0)
    monkeypatch.setattr(deliveries, "HOST_AT_ONCE", 600)  # all receivers of the tests are on one host

    def work() -> None:
        deliveries.deliver_due()
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(deliveries.CALLS_AT_ONCE)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for gate in set(receiver.gates.values()):
            gate.set()
        for thread in threads:
            thread.join()


def test_visitors_with_a_hanging_server_stop_nobody_else_s_calls(
    webhook: Webhook,
    owner: Owner,
    receiver: Receiver,
    path: str,
    hanging: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _happen(owner)
    assert deliveries.deliver_due() == 1  # it has been called, and was quick
    gates = []
    for _ in range(4):
        visitor = Owner.objects.create()
        for _ in range(services.MAX_WEBHOOKS_ANONYMOUS):
            url = hanging()
            gates.append(url.removeprefix(receiver.url))
            services.send_test(services.create(visitor, url))
        _happen(visitor)
    with _callers(monkeypatch, receiver):
        wait_until(
            lambda: sum(len(receiver.at(each)) for each in gates) >= deliveries.UNPROVEN_AT_ONCE,
            what="the calls that hang",
        )
        _happen(owner)
        deliveries.deliver_due()
        wait_until(lambda: len(receiver.at(path)) == 2, what="the call of somebody else")
        assert sum(len(receiver.at(each)) for each in gates) == deliveries.UNPROVEN_AT_ONCE


@pytest.mark.parametrize(("whose", "most"), [("owner", 2), ("host", 3)])
@pytest.mark.both_databases
def test_an_owner_and_a_host_have_a_few_calls_at_once(
    whose: str, most: int, owner: Owner, configure: Configure
) -> None:
    configure(fetch_allow="127.0.0.0/8")
    hosts = ("127.0.0.2", "127.0.0.3") if whose == "owner" else ("127.0.0.4",)
    for number in range(6):
        whom = owner if whose == "owner" else Owner.objects.create()
        services.create(whom, f"http://{hosts[number % len(hosts)]}:8000/")
        if whose == "host":
            _happen(whom)
    if whose == "owner":
        _happen(owner)
    claimed = [deliveries.claim() for _ in range(6)]
    assert len([each for each in claimed if each]) == most
    Delivery.objects.update(lease_until=None)
    assert deliveries.claim() is not None


def test_a_webhook_that_was_quick_the_last_time_is_proven_until_it_is_not(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def proven() -> bool:
        webhook.refresh_from_db()
        return webhook.prompt_at is not None

    assert not proven()
    _happen(owner)
    assert deliveries.claim(unproven_too=False) is None
    deliveries.deliver_due()
    assert proven()
    _happen(owner)
    found = deliveries.claim(unproven_too=False)
    assert found is not None
    monkeypatch.setattr(deliveries, "SLOW_S", 0.0)
    deliveries.attempt(found)
    assert not proven()
    monkeypatch.setattr(deliveries, "SLOW_S", 600.0)
    services.send_test(webhook)
    deliveries.deliver_due()
    assert proven()
    receiver.failures[path] = 1
    _happen(owner)
    deliveries.deliver_due()
    assert not proven()


def test_tests_and_replays_are_bounded_and_let_nothing_else_go(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str, patient: None
) -> None:
    _happen(owner)
    deliveries.deliver_due()
    done = Delivery.objects.get()
    receiver.failures[path] = 1000
    for _ in range(3):
        _happen(owner)
    deliveries.deliver_due()
    assert len(receiver.at(path)) == 2
    services.send_test(webhook)
    with pytest.raises(Conflict, match="pending"):
        services.send_test(webhook)
    deliveries.deliver_due()
    assert len(receiver.at(path)) == 3  # what waits for the next try waits on

    def test_on() -> None:
        for _ in range(100):
            services.send_test(webhook)
            deliveries.deliver_due()

    with pytest.raises(RateLimited):
        test_on()
    assert len(receiver.at(path)) <= 15
    with pytest.raises(RateLimited):
        [services.replay(done) for _ in range(100)]


def test_a_test_that_succeeds_lets_what_waits_go(
    webhook: Webhook, owner: Owner, receiver: Receiver, path: str, patient: None
) -> None:
    receiver.failures[path] = 1
    for _ in range(3):
        _happen(owner)
    deliveries.deliver_due()
    services.send_test(webhook)
    deliveries.deliver_due()
    assert len(receiver.at(path)) == 4
