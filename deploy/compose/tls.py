"""Give nginx a certificate to start with: tls.py FOLDER HOST. What is there stays.

Makes an authority (ca.pem), a certificate of HOST by it (fullchain.pem, privkey.pem), and ca-bundle.pem: the
public authorities and this one. So the service trusts its own host before certbot has a certificate, and
after.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 398


def named(text: str) -> x509.Name:
    """A name that is nothing but a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def built(subject: str, key: ec.EllipticCurvePrivateKey, issuer: str) -> x509.CertificateBuilder:
    """A certificate that is not signed yet."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=DAYS))
    )


def usage(*, signs: bool) -> x509.KeyUsage:
    """What a key is for: signing certificates, or connections."""
    others = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
        **others,
    )


def main(folder: Path, host: str) -> int:
    """Write what is missing."""
    if (folder / "fullchain.pem").exists() and (folder / "ca-bundle.pem").exists():
        return 0
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_id = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())
    root = (
        built("Cutline stack", authority, "Cutline stack")
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs=True), critical=True)
        .add_extension(root_id, critical=False)
        .sign(authority, SHA256())
    )
    leaf = (
        built(host, own, "Cutline stack")
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id), critical=False
        )
        .sign(authority, SHA256())
    )
    private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    ours = root.public_bytes(Encoding.PEM)
    write(folder / "privkey.pem", private, 0o600)
    write(folder / "fullchain.pem", leaf.public_bytes(Encoding.PEM) + ours, 0o644)
    write(folder / "ca.pem", ours, 0o644)
    write(folder / "ca-bundle.pem", Path(certifi.where()).read_bytes() + ours, 0o644)
    return 0


def write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that nobody may read before it has its mode."""
    path.unlink(missing_ok=True)
    path.touch(mode=mode)
    path.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
