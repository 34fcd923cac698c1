"""Authorities and certificates, made for a test."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """One that signs what a folder holds: `ca.pem`, and of each name a certificate and a key."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {folder.name}")])
        made = _builder(self._name, self._name, self._key).add_extension(x509.BasicConstraints(True, None), True)
        self.certificate = folder / "ca.pem"
        self.certificate.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))

    def flags(self, name: str) -> list[str]:
        """What Dask's programs are given, with a new certificate of that name."""
        settings = self.settings(name)
        return [
            "--tls-ca-file", settings["CLUSTER_TLS_CA"], "--tls-cert", settings["CLUSTER_TLS_CERT"], "--tls-key",
            settings["CLUSTER_TLS_KEY"],
        ]  # fmt: skip

    def given_to(self, folder: Path, name: str) -> dict[str, str]:
        """The same as `settings`, of copies in a folder of its own, and nothing left here but the authority."""
        own = folder / f"certificates-of-{name}"
        own.mkdir()
        given = {}
        for setting, path in self.settings(name).items():
            given[setting] = str(shutil.copy(path, own))
            if path != str(self.certificate):
                Path(path).unlink()
        return given

    def settings(self, name: str) -> dict[str, str]:
        """What a run is given, with a new certificate of that name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        signed = _builder(subject, self._name, key).add_extension(names, False).sign(self._key, hashes.SHA256())
        certificate, private = self._folder / f"{name}.pem", self._folder / f"{name}-key.pem"
        certificate.write_bytes(_pem(signed))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        private.chmod(0o600)
        return {
            "CLUSTER_TLS_CA": str(self.certificate), "CLUSTER_TLS_CERT": str(certificate),
            "CLUSTER_TLS_KEY": str(private),
        }  # fmt: skip


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(), now - datetime.timedelta(days=1),
        now + datetime.timedelta(days=1),
    )  # fmt: skip


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
