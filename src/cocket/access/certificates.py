"""Partner authorities by their certificates. TLS has checked who signed them; the settings say whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from cryptography import x509
from cryptography.x509.oid import NameOID

from cocket.core.principal import Principal


class Authorities:
    """Names in certificates (DNS name, common name, ``sha256:…`` of the whole) to authorities."""

    def __init__(self, by_name: Mapping[str, str]) -> None:
        self._by_name = {name.casefold(): authority for name, authority in by_name.items()}

    def of(self, der: bytes) -> Principal | None:
        """Who shows it; None for a certificate that the settings do not name, or that cannot be read."""
        for name in names(der):
            authority = self._by_name.get(name.casefold())
            if authority is not None:
                return Principal(
                    f"authority:{authority}",
                    "authority",
                    frozenset({"partner-authority"}),
                    authority=authority,
                    proved="certificate",
                    second_factor=True,
                )
        return None


def names(der: bytes) -> list[str]:
    """What a certificate (DER) may be known by, the surest first."""
    found = [f"sha256:{sha256(der).hexdigest()}"]
    try:
        certificate = x509.load_der_x509_certificate(der)
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found += alternative.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        pass
    except ValueError:
        return found
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return found + [str(a.value) for a in common]
