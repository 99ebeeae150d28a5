"""Messages of SNS: only those that SNS signed for our topic are believed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from cutline import fetching
from cutline.errors import FetchFailed
from cutline.server import outbound
from cutline.server.callbacks import sns
from cutline.server.captions.models import Caption
from cutline.server.config import ServerSettings
from cutline.server.images.models import Image
from cutline.server.jobs.models import Job
from tests.server.callbacks.conftest import TOPIC
from tests.server.callbacks.test_callbacks import answer, key_of

pytestmark = pytest.mark.django_db

HOST = "https://sns.eu-central-1.amazonaws.com"
CERTIFICATE = f"{HOST}/SimpleNotificationService-0123abcd.pem"
ISSUER = "http://crt.r2m01.amazontrust.com/r2m01.cer"
SUBSCRIBE = f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336"
NOW = timezone.now()


# -- authorities -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its key."""

    key: Any
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


@lru_cache(maxsize=1)
def rsa_key() -> rsa.RSAPrivateKey:
    """One for all leaves: making one takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def issue(
    name: str,
    by: Issued | None = None,
    *,
    is_authority: bool = False,
    issuer_at: str = ISSUER,
    from_: datetime = NOW - timedelta(days=1),
    to: datetime = NOW + timedelta(days=30),
) -> Issued:
    """A certificate for a name, by an authority; by itself without one."""
    key: Any = ec.generate_private_key(ec.SECP256R1()) if is_authority else rsa_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(from_)
        .not_valid_after(to)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if is_authority:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        place = x509.UniformResourceIdentifier(issuer_at)
        about = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        builder = (
            builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityInformationAccess([about]), critical=False)
        )
    if by is not None:
        of = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
        builder = builder.add_extension(of, critical=False)
    return Issued(key=key, certificate=builder.sign(by.key if by else key, SHA256()))


ROOT = issue("A trusted root", is_authority=True)
MIDDLE = issue("Amazon RSA 2048 M01", ROOT, is_authority=True)


# -- SNS -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Internet:
    """What is at which URL, and what was asked for."""

    at: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Internet]:
    made = Internet()

    def fetch_small(url: str, *, max_bytes: int, timeout_s: float) -> bytes:
        made.asked.append(url)
        if url not in made.at:
            raise FetchFailed("There is nothing.")
        return made.at[url]

    monkeypatch.setattr(outbound, "fetch_small", fetch_small)
    monkeypatch.setattr(fetching, "trusted_roots", lambda: [ROOT.der])
    sns.forget()
    made.at = {CERTIFICATE: issue("sns.amazonaws.com", MIDDLE).pem, ISSUER: MIDDLE.der, SUBSCRIBE: b"<ok/>"}
    yield made
    sns.forget()


def message(of: object, **changed: str) -> dict[str, str]:
    """A message of SNS, signed after these changes; an unsigned one by `tampered`."""
    told = {
        "Type": "Notification",
        "MessageId": str(uuid4()),
        "TopicArn": TOPIC,
        "Message": of if isinstance(of, str) else json.dumps(of),
        "Timestamp": timezone.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE,
        "UnsubscribeURL": f"{HOST}/?Action=Unsubscribe",
        **changed,
    }
    kind = SHA1() if told["SignatureVersion"] == "1" else SHA256()
    text = sns.Message.model_validate({**told, "Signature": ""}).signed_text()
    signature = rsa_key().sign(text, padding.PKCS1v15(), kind)
    return {**told, "Signature": base64.b64encode(signature).decode()}


def confirmation(**changed: str) -> dict[str, str]:
    """The question whether we subscribe."""
    told = {"Type": "SubscriptionConfirmation", "SubscribeURL": SUBSCRIBE, "Token": "2336"}
    return message("You have chosen to subscribe.", **{**told, **changed})


def send(told: Mapping[str, str]) -> HttpResponse:
    """Post it as SNS does: as plain text."""
    found: HttpResponse = Client().post(
        "/callbacks/sns",
        json.dumps(told),
        content_type="text/plain; charset=UTF-8",
        headers={"x-amz-sns-message-type": told["Type"]},
    )
    return found


def test_the_text_that_sns_signs() -> None:
    told = message(
        "hello", Subject="My First Message", MessageId="22b80b92", Timestamp="2012-05-02T00:54:06.655Z"
    )
    text = (
        "Message\nhello\nMessageId\n22b80b92\nSubject\nMy First Message\n"
        f"Timestamp\n2012-05-02T00:54:06.655Z\nTopicArn\n{TOPIC}\nType\nNotification\n"
    )
    assert sns.Message.model_validate(told).signed_text() == text.encode()


@pytest.mark.parametrize("version", ["1", "2"])
def test_captions_come_through_the_topic(photo_: tuple[Image, Job], internet: Internet, version: str) -> None:
    image, _ = photo_
    told = message(answer(key_of(image)), SignatureVersion=version)
    assert send(told).status_code == 204
    image.refresh_from_db()
    assert image.caption == "a cat on a mat"
    assert internet.asked == [CERTIFICATE, ISSUER]
    assert send(told).status_code == 409  # a replay
    assert send(message(answer(key_of(image)))).status_code == 204  # the function was asked twice
    assert internet.asked == [CERTIFICATE, ISSUER]  # once for all messages
    assert Caption.objects.filter(image=image).count() == 1


def test_a_subscription_to_our_topic_is_confirmed(
    by_callback: Callable[..., ServerSettings], internet: Internet
) -> None:
    told = confirmation()
    assert send(told).status_code == 204
    assert internet.asked == [CERTIFICATE, ISSUER, SUBSCRIBE]
    assert send(told).status_code == 409
    assert internet.asked == [CERTIFICATE, ISSUER, SUBSCRIBE]


def test_a_confirmation_that_leads_elsewhere_is_not_followed(
    by_callback: Callable[..., ServerSettings], internet: Internet, subtests: pytest.Subtests
) -> None:
    """Even where SNS signed it."""
    for url in (
        "https://evil.example.com/?Action=ConfirmSubscription&TopicArn=" + TOPIC,
        SUBSCRIBE.replace("https:", "http:"),
        SUBSCRIBE.replace("eu-central-1.amazonaws", "us-east-1.amazonaws"),
        SUBSCRIBE.replace(HOST, HOST + ".evil.example.com"),
        SUBSCRIBE.replace("https://", "https://sns.eu-central-1.amazonaws.com@"),
        SUBSCRIBE.replace("ConfirmSubscription", "Unsubscribe"),
        SUBSCRIBE.replace("captions", "others"),
        SUBSCRIBE.replace("/?", "/elsewhere?"),
        "",
    ):
        with subtests.test(url):
            internet.at[url] = b""
            assert send(confirmation(SubscribeURL=url)).status_code == 422
            assert not {url, SUBSCRIBE} & set(internet.asked)


def test_what_sns_did_not_sign_for_us_is_refused(
    photo_: tuple[Image, Job], internet: Internet, subtests: pytest.Subtests
) -> None:
    body = answer(key_of(photo_[0]))
    good = message(body)
    early, late = (timezone.now() + timedelta(minutes=minutes) for minutes in (-90, 30))
    for name, told in {
        "other words": {**good, "Message": json.dumps(answer(key_of(photo_[0]), "an insult"))},
        "another id": {**good, "MessageId": "x"},
        "a subject": {**good, "Subject": "x"},
        "another version of signing": {**good, "SignatureVersion": "1"},
        "an unknown version": message(body, SignatureVersion="3"),
        "no signature": {**good, "Signature": ""},
        "no base64": {**good, "Signature": "*"},
        "no ASCII": {**good, "Signature": "é"},
        "another topic": message(body, TopicArn=TOPIC.replace("captions", "others")),
        "another account's": message(body, TopicArn=TOPIC.replace("123456789012", "999999999999")),
        "too old": message(body, Timestamp=early.isoformat()),
        "from the future": message(body, Timestamp=late.isoformat()),
        "no time": message(body, Timestamp="yesterday"),
        "no zone": message(body, Timestamp="2026-11-28T10:00:00"),
    }.items():
        with subtests.test(name):
            assert send(told).status_code == 401
    for name, body_ in {
        "no JSON": "{",
        "a list": "[]",
        "no type": json.dumps({**good, "Type": "Other"}),
    }.items():
        with subtests.test(name):
            assert Client().post("/callbacks/sns", body_, content_type="text/plain").status_code == 422
    assert not Caption.objects.exists()
    assert send(good).status_code == 204


def test_certificates_are_taken_from_sns_alone(
    photo_: tuple[Image, Job], internet: Internet, subtests: pytest.Subtests
) -> None:
    body = answer(key_of(photo_[0]))
    for url in (
        CERTIFICATE.replace("https:", "http:"),
        CERTIFICATE.replace(HOST, "https://evil.example.com"),
        CERTIFICATE.replace(HOST, "https://s3.amazonaws.com/bucket"),
        CERTIFICATE.replace(HOST, "https://sns.amazonaws.com"),
        CERTIFICATE.replace(HOST, "https://sns.us-east-1.amazonaws.com"),
        CERTIFICATE.replace(HOST, HOST + ".evil.example.com"),
        CERTIFICATE.replace(HOST, HOST + ":8443"),
        CERTIFICATE.replace("https://", "https://evil.example.com@"),
        CERTIFICATE.replace("https://", "https://evil.example.com\\@"),
        f"{HOST}/?x=/SimpleNotificationService-0123abcd.pem",
        f"{HOST}/../SimpleNotificationService-0123abcd.pem",
        CERTIFICATE + "?Action=ListTopics",
        CERTIFICATE + "#x",
        "",
    ):
        with subtests.test(url):
            internet.at[url] = internet.at[CERTIFICATE]
            assert send(message(body, SigningCertURL=url)).status_code == 401
    assert internet.asked == []


def test_a_certificate_must_be_sns_s_and_lead_to_a_trusted_root(
    photo_: tuple[Image, Job], internet: Internet, subtests: pytest.Subtests
) -> None:
    body = answer(key_of(photo_[0]))
    stranger = issue("Nobody's root", is_authority=True)
    leaf_as_authority = issue("evil.example.com", MIDDLE)
    evil = "http://evil.example.com/issuer.cer"
    internet.at[evil] = MIDDLE.der
    day = timedelta(days=1)
    for name, pem in {
        "signed by itself": issue("sns.amazonaws.com").pem,
        "of a root that nobody trusts": issue("sns.amazonaws.com", stranger).pem + stranger.pem,
        "another's name": issue("evil.example.com", MIDDLE).pem,
        "a name below SNS's": issue("evil.sns.amazonaws.com", MIDDLE).pem,
        "another region's": issue("sns-signing.us-east-1.amazonaws.com", MIDDLE).pem,
        "expired": issue("sns.amazonaws.com", MIDDLE, from_=NOW - 9 * day, to=NOW - day).pem,
        "not yet valid": issue("sns.amazonaws.com", MIDDLE, from_=NOW + day).pem,
        "by whom may issue none": issue("sns.amazonaws.com", leaf_as_authority).pem + leaf_as_authority.pem,
        "whose issuer is elsewhere": issue("sns.amazonaws.com", MIDDLE, issuer_at=evil).pem,
        "no certificate": b"-----BEGIN NOTHING-----",
        "empty": b"",
    }.items():
        with subtests.test(name):
            internet.at[CERTIFICATE] = pem
            assert send(message(body)).status_code == 401
    assert evil not in internet.asked
    assert not Caption.objects.exists()


@pytest.mark.parametrize("name", ["sns-signing.eu-central-1.amazonaws.com", "sns.eu-central-1.amazonaws.com"])
def test_a_region_s_own_name_is_sns_s_too(photo_: tuple[Image, Job], internet: Internet, name: str) -> None:
    internet.at[CERTIFICATE] = (
        issue(name, MIDDLE).pem + MIDDLE.pem
    )  # with its issuer: nothing more is fetched
    assert send(message(answer(key_of(photo_[0])))).status_code == 204
    assert internet.asked == [CERTIFICATE]


def test_a_message_that_could_not_be_handled_may_come_again(
    photo_: tuple[Image, Job], internet: Internet
) -> None:
    told = message(answer(key_of(photo_[0])))
    kept = internet.at.pop(ISSUER)
    assert send(told).status_code == 503
    internet.at[ISSUER] = kept
    assert send(told).status_code == 204


def test_nobody_makes_us_look_for_certificates_all_day(photo_: tuple[Image, Job], internet: Internet) -> None:
    statuses = [
        send(message("{}", SigningCertURL=CERTIFICATE.replace("0123", f"{number:04}"))).status_code
        for number in range(22)
    ]
    assert statuses[:20] == [503] * 20
    assert statuses[20:] == [429] * 2
    assert len(internet.asked) == 20
