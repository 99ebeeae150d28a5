"""Messages of Amazon SNS over HTTPS: whether SNS itself signed one for our topic.

What a message says of itself is not believed: its certificate must come from SNS's own host in the topic's
region, be SNS's by its name, and lead to an authority that this service trusts. SNS offers its certificate
without the one that issued it, which is therefore fetched from where the certificate says (Amazon's own
authority alone), and must itself be signed by a trusted root.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cutline.server.config import TOPIC
from cutline.server.errors import Invalid, Unauthenticated

OLDEST = timedelta(hours=1)
_NEWEST = timedelta(minutes=5)
_MOST_ISSUERS = 3
_AUTHORITY = ".amazontrust.com"
_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem")
_HASHES: Mapping[str, type[HashAlgorithm]] = {"1": SHA1, "2": SHA256}
_SIGNED = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")

Text = Annotated[str, Field(max_length=300_000)]


class Message(BaseModel):
    """What SNS posts. Names as it has them."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    Type: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]
    MessageId: Annotated[str, Field(min_length=1, max_length=100)]
    TopicArn: Text
    Message: Text
    Timestamp: Text
    SignatureVersion: Text
    Signature: Text
    SigningCertURL: Text
    Subject: Text | None = None
    SubscribeURL: Text | None = None
    Token: Text | None = None

    def signed_text(self) -> bytes:
        """What its signature is of."""
        leaves_out = {"SubscribeURL", "Token"} if self.Type == "Notification" else {"Subject"}
        named = [(name, getattr(self, name)) for name in _SIGNED if name not in leaves_out]
        return "".join(f"{name}\n{value}\n" for name, value in named if value is not None).encode()


def parsed(body: bytes) -> Message:
    """A message, from its JSON. Raises Invalid."""
    try:
        return Message.model_validate_json(body)
    except ValidationError:
        raise Invalid("This is no message of SNS.") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What messages are checked by. fetch: gets what is at a URL. roots: trusted certificates, as DER."""

    topic: str
    fetch: Callable[[str], bytes]
    roots: Callable[[], Iterable[bytes]]

    @property
    def region(self) -> str:
        """The topic's region."""
        found = TOPIC.fullmatch(self.topic)
        return found[1] if found else ""

    @property
    def host(self) -> str:
        """SNS's host in that region."""
        return f"sns.{self.region}.{self._suffix}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names that SNS's certificates have there."""
        own = f"sns-signing.{self.region}.{self._suffix}", f"sns-{self.region}.{self._suffix}", self.host
        if self.topic.startswith("arn:aws-cn:"):
            return own
        if self.topic.startswith("arn:aws-us-gov:"):
            return (*own, "sns-us-gov-west-1.amazonaws.com")
        return ("sns.amazonaws.com", *own)

    @property
    def _suffix(self) -> str:
        return "amazonaws.com.cn" if self.topic.startswith("arn:aws-cn:") else "amazonaws.com"


def check(message: Message, trust: Trust, *, now: datetime) -> None:
    """Raise Unauthenticated unless SNS signed this message for our topic, lately.

    Raises what trust.fetch raises, too: then nothing is known, and the message may come again.
    """
    if not trust.topic or message.TopicArn != trust.topic:
        raise Unauthenticated("This message is of another topic.")
    if not -_NEWEST <= now - _time_of(message) <= OLDEST:
        raise Unauthenticated("This message is too old, or from the future.")
    kind = _HASHES.get(message.SignatureVersion)
    if kind is None:
        raise Unauthenticated("This message is signed in a way that is not known here.")
    if not is_certificate_url(message.SigningCertURL, trust):
        raise Unauthenticated("This message's certificate is not at SNS.")
    try:
        signature = base64.b64decode(message.Signature, validate=True)
    except ValueError as error:  # binascii's, and what is no ASCII
        raise Unauthenticated("The signature is wrong.") from error
    try:
        key = _certificates.of(message.SigningCertURL, trust, now).public_key()
        if not isinstance(key, RSAPublicKey):
            raise Unauthenticated("This message's certificate has no RSA key.")
        key.verify(signature, message.signed_text(), PKCS1v15(), kind())
    except InvalidSignature as error:
        raise Unauthenticated("The signature is wrong.") from error


def _time_of(message: Message) -> datetime:
    try:
        at = datetime.fromisoformat(message.Timestamp)
        if at.tzinfo is None:
            raise ValueError("no zone")
    except ValueError as error:
        raise Unauthenticated("This message has no time.") from error
    return at


def is_certificate_url(url: str, trust: Trust) -> bool:
    """Whether SNS's certificates for our topic's region are at this URL."""
    parts = _at_sns(url, trust)
    return parts is not None and not parts.query and bool(_CERTIFICATE_PATH.fullmatch(parts.path))


def is_confirmation_url(url: str, trust: Trust) -> bool:
    """Whether a GET there confirms a subscription to our topic, and does nothing else."""
    parts = _at_sns(url, trust)
    if parts is None or parts.path not in ("", "/"):
        return False
    query = parse_qs(parts.query)
    return query.get("Action") == ["ConfirmSubscription"] and query.get("TopicArn") == [trust.topic]


def _at_sns(url: str, trust: Trust) -> SplitResult | None:
    """The parts of a URL if it leads to SNS by https, on the usual port, in plain words."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    is_plain = url.isascii() and url.isprintable() and not {"\\", " "} & set(url)
    is_there = parts.scheme == "https" and parts.netloc == trust.host and not parts.fragment
    return parts if is_plain and is_there else None


# -- certificates ----------------------------------------------------------------------------------------


class _Certificates:
    """SNS's certificates, once they are proven; looked for one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._proven: dict[tuple[str, str], x509.Certificate] = {}

    def of(self, url: str, trust: Trust, now: datetime) -> x509.Certificate:
        with self._lock:
            known = self._proven.get((trust.topic, url))
            if known is None or now > known.not_valid_after_utc:
                known = prove(trust.fetch(url), trust, now=now)
                if len(self._proven) >= 8:
                    self._proven.clear()
                self._proven[trust.topic, url] = known
            return known

    def forget(self) -> None:
        with self._lock:
            self._proven.clear()


_certificates = _Certificates()
forget = _certificates.forget


def prove(pem: bytes, trust: Trust, *, now: datetime) -> x509.Certificate:
    """SNS's certificate in a PEM file. Raises Unauthenticated where it does not lead to a trusted root."""
    try:
        leaf, *others = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise Unauthenticated("At SNS is no certificate.") from error
    for _ in range(_MOST_ISSUERS):
        if _is_proven(leaf, others, trust, now):
            return leaf
        above = _issuer_of(others[-1] if others else leaf, trust)
        if above is None:
            break
        others.append(above)
    raise Unauthenticated("This message's certificate is not SNS's, or nobody trusted issued it.")


def _is_proven(leaf: x509.Certificate, others: list[x509.Certificate], trust: Trust, now: datetime) -> bool:
    policy = PolicyBuilder().store(_store(tuple(trust.roots()))).time(now)
    for name in trust.names:
        try:
            policy.build_server_verifier(x509.DNSName(name)).verify(leaf, others)
        except VerificationError:
            continue
        return True
    return False


@lru_cache(maxsize=2)
def _store(roots: tuple[bytes, ...]) -> Store:
    found = []
    for root in roots:
        try:
            found.append(x509.load_der_x509_certificate(root))
        except ValueError:  # one of the authorities writes what the others do not: it is not SNS's
            continue
    return Store(found)


def _issuer_of(certificate: x509.Certificate, trust: Trust) -> x509.Certificate | None:
    """The certificate that Amazon's authority offers as the issuer of another one, not yet proven."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    for each in access:
        place = each.access_location
        if each.access_method != AuthorityInformationAccessOID.CA_ISSUERS or not isinstance(
            place, x509.UniformResourceIdentifier
        ):
            continue
        parts = urlsplit(place.value)
        is_amazon_s = parts.scheme in ("http", "https") and parts.netloc.endswith(_AUTHORITY)
        if is_amazon_s and "@" not in parts.netloc and ":" not in parts.netloc:
            try:
                return x509.load_der_x509_certificate(trust.fetch(place.value))
            except ValueError:
                return None
    return None
