# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for TLS servers and clients under test: right ones, an expired one, and wrong ones."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from demo.postgres_server import ServerCertificate

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files. Every server certificate but `wrong_name` is for localhost.

    ca is what a client trusts; `wrong_ca` certificates are signed by an authority of the same name
    with another key (`other_ca`). `client` is what a client shows; `foreign_client` is signed by the wrong authority.
    """

    ca: Path
    other_ca: Path
    right: ServerCertificate
    expired: ServerCertificate
    wrong_ca: ServerCertificate
    wrong_name: ServerCertificate
    client: ServerCertificate
    foreign_client: ServerCertificate


@dataclass(frozen=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificates(directory: Path) -> Certificates:
    """Make every certificate in `directory` (which must exist) and return their paths."""
    authority, other = _make_authority(), _make_authority()
    right_ca = _write_certificate(directory / "ca.crt", authority.certificate)
    other_ca = _write_certificate(directory / "other-ca.crt", other.certificate)
    return Certificates(
        ca=right_ca,
        other_ca=other_ca,
        right=_make_certificate(directory, "right", authority, "localhost"),
        expired=_make_certificate(directory, "expired", authority, "localhost", expired=True),
        wrong_ca=_make_certificate(directory, "wrong-ca", other, "localhost"),
        wrong_name=_make_certificate(directory, "wrong-name", authority, "elsewhere.example"),
        client=_make_certificate(directory, "client", authority, "backup", usage=ExtendedKeyUsageOID.CLIENT_AUTH),
        foreign_client=_make_certificate(directory, "foreign", other, "backup", usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    )


def _make_authority() -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 90 * DAY)
        .not_valid_after(now + 90 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _Authority(certificate, key)


def _make_certificate(
    directory: Path,
    name: str,
    authority: _Authority,
    host: str,
    *,
    expired: bool = False,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> ServerCertificate:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 60 * DAY)
        .not_valid_after(now - DAY if expired else now + 60 * DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    key_file = directory / f"{name}.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return ServerCertificate(_write_certificate(directory / f"{name}.crt", certificate), key_file)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_certificate(path: Path, certificate: x509.Certificate) -> Path:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
