"""An authority of the tests' own, and a certificate that it signed."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID_FROM = datetime.datetime(2020, 1, 1)
VALID_UNTIL = datetime.datetime(2120, 1, 1)


class Authority:
    def __init__(self, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
        constraint = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._signed(self._name, self._key).add_extension(constraint, critical=True)
        self.file = self._write("authority.pem", certificate.sign(self._key, hashes.SHA256()))

    def certificate(self, host):
        """The files of a certificate for this host name and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = self._signed(subject, key).add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        file = self._folder / f"{host}-key.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return self._write(f"{host}.pem", certificate), file

    def _signed(self, subject, key):
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(VALID_FROM).not_valid_after(VALID_UNTIL)

    def _write(self, name, certificate):
        file = self._folder / name
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return file
