"""Signing in with an OpenID Connect provider: authorization code with PKCE, state and nonce.

OpenID Connect Core 1.0 (3.1), Discovery 1.0, RFC 7636 (PKCE), RFC 9207 (issuer in the answer), RFC 9700 (what of them is
mandatory today). ID tokens are taken with RS256 or ES256 and nothing else. Roles and offices come from claims, by the
settings; whoever has no role of ours is refused.
"""

from __future__ import annotations

import base64
import hmac
import threading
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from cocket.access import secrets
from cocket.core.clock import US, Clock
from cocket.core.config import Access
from cocket.core.errors import BadSetting, CocketError, Fault, Forbidden, Unavailable
from cocket.core.principal import ROLES

CALLBACK: Final = "/api/v1/oidc/callback"
_ALGORITHMS: Final = ["RS256", "ES256"]
_LEEWAY_S: Final = 60
_METADATA_US: Final = 3_600 * US
_KEYS_US: Final = 60 * US
"""Keys are asked for anew this often at most, however many unknown ones are shown."""
_TIMEOUT_S: Final = 10.0
_MOST_BYTES: Final = 1 << 20
_STRONG: Final = frozenset({"mfa", "otp", "hwk", "fpt", "face", "sc"})
"""Authentication methods (RFC 8176) that are, or are part of, more than a password."""


@dataclass(frozen=True, slots=True)
class Journey:
    """What a browser keeps while it is with the provider, and the answer must fit. ``onward``: the page it came for."""

    state: str
    nonce: str
    verifier: str
    onward: str

    def text(self) -> str:
        """As a cookie."""
        onward = base64.urlsafe_b64encode(self.onward.encode()).decode().rstrip("=")
        return f"{self.state}.{self.nonce}.{self.verifier}.{onward}"

    @classmethod
    def of(cls, text: str) -> Journey | None:
        """From the cookie; None if it is none of ours."""
        parts = text.split(".")
        if len(parts) != 4 or not all(secrets.is_secret(p) for p in parts[:3]):
            return None
        try:
            onward = base64.urlsafe_b64decode(parts[3] + "=" * (-len(parts[3]) % 4)).decode()
        except ValueError:
            return None
        return cls(parts[0], parts[1], parts[2], own_page(onward))


@dataclass(frozen=True, slots=True)
class Known:
    """Whom the provider says somebody is."""

    issuer: str
    subject: str
    name: str
    full_name: str
    roles: tuple[str, ...]
    offices: tuple[str, ...] | None
    strong: bool


class Declined(Forbidden):
    """The provider or its answer was refused; the rule of the fault is the word for the sign-in page."""


def declined(rule: str, detail: str) -> Declined:
    """One, in words."""
    return Declined(detail, [Fault("", rule, detail)])


class Provider:
    """The provider of the settings. Any thread may call."""

    def __init__(self, settings: Access, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._metadata: tuple[int, dict[str, Any]] | None = None
        self._keys: tuple[int, KeySet] | None = None
        self._secret = _checked(settings)

    def begin(self, onward: str) -> tuple[str, Journey]:
        """Where to send the browser, and what it keeps meanwhile."""
        journey = Journey(secrets.new_secret(), secrets.new_secret(), secrets.new_secret(), own_page(onward))
        challenge = base64.urlsafe_b64encode(sha256(journey.verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._redirect,
            "scope": " ".join(dict.fromkeys(("openid", *self._settings.oidc_scopes))),
            "state": journey.state,
            "nonce": journey.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}", journey

    def finish(self, journey: Journey | None, answer: dict[str, str]) -> Known:
        """Whom the provider's answer is about; raises ``Declined`` for whatever does not fit."""
        if journey is None or not hmac.compare_digest(
            answer.get("state", "").encode("utf-8", "replace"), journey.state.encode()
        ):
            raise declined(
                "state", "this answer of the provider belongs to no sign-in of this browser; begin again"
            )
        if answer.get("iss", self._settings.oidc_issuer) != self._settings.oidc_issuer:
            raise declined("issuer", "the answer comes from another provider than was asked")
        if "error" in answer:
            raise declined("provider", f"the provider refused: {answer['error'][:100]}")
        tokens = self._tokens(answer.get("code", ""), journey)
        claims = self._claims(str(tokens.get("id_token", "")), journey.nonce)
        return self._known(self._completed(claims, tokens))

    # what the provider is asked

    def _tokens(self, code: str, journey: Journey) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "code_verifier": journey.verifier,
            "client_id": self._settings.oidc_client_id,
        }
        auth = None
        methods = self._discovered().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if self._secret and "client_secret_basic" in methods:
            auth = httpx.BasicAuth(_form(self._settings.oidc_client_id), _form(self._secret))
        elif self._secret:
            form["client_secret"] = self._secret
        status, found = self._asked("POST", self._endpoint("token_endpoint"), data=form, auth=auth)
        if status != httpx.codes.OK:
            raise declined(
                "code", f"the provider did not take its own code: {str(found.get('error', status))[:100]}"
            )
        return found

    def _claims(self, id_token: str, nonce: str) -> dict[str, Any]:
        try:
            token = jwt.decode(id_token, self._key_set(), algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            try:  # the provider may have rotated its keys
                token = jwt.decode(id_token, self._key_set(anew=True), algorithms=_ALGORITHMS)
            except (JoseError, ValueError) as error:
                raise declined(
                    "id-token", f"the ID token is not the provider's: {type(error).__name__}"
                ) from error
        claims = token.claims
        checks = jwt.JWTClaimsRegistry(
            now=lambda: self._clock.now_us() // US,
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._settings.oidc_issuer},
            aud={"essential": True, "value": self._settings.oidc_client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            checks.validate(claims)
        except JoseError as error:
            raise declined("id-token", f"the ID token does not hold: {error}") from error
        audience = claims["aud"]
        if (
            isinstance(audience, list)
            and len(audience) > 1
            and claims.get("azp") != self._settings.oidc_client_id
        ):
            raise declined("id-token", "the ID token was made for somebody else (azp)")
        return claims

    def _completed(self, claims: dict[str, Any], tokens: dict[str, Any]) -> dict[str, Any]:
        """With what only the userinfo endpoint tells (5.3), if the ID token lacks it."""
        s = self._settings
        wanted = {s.oidc_name_claim, s.oidc_roles_claim, s.oidc_offices_claim} - {""}
        endpoint, access = self._discovered().get("userinfo_endpoint"), tokens.get("access_token")
        if wanted <= set(claims) or not endpoint or not access:
            return claims
        status, more = self._asked("GET", str(endpoint), headers={"authorization": f"Bearer {access}"})
        if status != httpx.codes.OK or more.get("sub") != claims["sub"]:
            raise declined("userinfo", "the provider did not tell who that is")
        return {**more, **claims}

    def _known(self, claims: dict[str, Any]) -> Known:
        s = self._settings
        groups = _texts(claims.get(s.oidc_roles_claim))
        roles = tuple(sorted({s.oidc_roles[g] for g in groups if g in s.oidc_roles}))
        if not roles:
            raise declined(
                "no-role",
                f"the provider gives this person no role that counts here (claim {s.oidc_roles_claim!r}); "
                "whoever keeps the groups there, or access.oidc_roles here, can mend that",
            )
        offices = None
        if s.oidc_offices_claim:
            offices = tuple(sorted(set(_texts(claims.get(s.oidc_offices_claim)))))
            if not offices:
                raise declined(
                    "no-office", f"the provider names no customs office ({s.oidc_offices_claim!r})"
                )
        strong = bool(_STRONG & set(_texts(claims.get("amr"))))
        name = str(claims.get(s.oidc_name_claim, "")).casefold()
        full = str(claims.get("name", ""))[:128]
        return Known(s.oidc_issuer, str(claims["sub"]), name, full, roles, offices, strong)

    def _discovered(self) -> dict[str, Any]:
        now = self._clock.now_us()
        with self._lock:
            if self._metadata is not None and now - self._metadata[0] < _METADATA_US:
                return self._metadata[1]
        issuer = self._settings.oidc_issuer
        status, found = self._asked("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
        if status != httpx.codes.OK or found.get("issuer") != issuer:
            raise Unavailable(
                f"the provider {issuer} does not describe itself under that name (access.oidc_issuer)"
            )
        with self._lock:
            self._metadata = (now, found)
        return found

    def _key_set(self, *, anew: bool = False) -> KeySet:
        now = self._clock.now_us()
        with self._lock:
            if self._keys is not None and (not anew or now - self._keys[0] < _KEYS_US):
                return self._keys[1]
        status, found = self._asked("GET", self._endpoint("jwks_uri"))
        try:
            keys = KeySet.import_key_set(found)  # type: ignore[arg-type] # checked by it
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"the provider's keys cannot be read (answer {status})") from error
        with self._lock:
            self._keys = (now, keys)
        return keys

    def _endpoint(self, name: str) -> str:
        url = self._discovered().get(name)
        if not isinstance(url, str):
            raise Unavailable(f"the provider names no {name}")
        _check_url(url, name)
        return url

    def _asked(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        try:
            with (
                httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False) as client,
                client.stream(method, url, **more) as answer,
            ):
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise Unavailable("the provider's answer has no end")
                parsed = httpx.Response(answer.status_code, content=body).json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(
                f"the provider at {urlsplit(url).netloc} does not answer as it should: {type(error).__name__}"
            ) from error
        return answer.status_code, parsed if isinstance(parsed, dict) else {}

    @property
    def _redirect(self) -> str:
        return self._settings.origin.rstrip("/") + CALLBACK


def own_page(onward: str) -> str:
    """A page of ours, so that a link to sign-in leads nowhere else afterwards (open redirect)."""
    plain = onward.startswith("/") and not onward.startswith(("//", "/\\", "/api/")) and onward.isprintable()
    return onward if plain and len(onward) < 500 and "\\" not in onward else "/"


def _checked(settings: Access) -> str:
    """The client's secret; raises ``BadSetting`` for settings that cannot work."""
    _check_url(settings.oidc_issuer, "access.oidc_issuer")
    if not settings.oidc_client_id:
        raise BadSetting("access.oidc_issuer wants access.oidc_client_id beside it")
    if not settings.origin:
        raise BadSetting(
            "access.oidc_issuer wants access.origin, the address to which the provider sends people back"
        )
    unknown = sorted(set(settings.oidc_roles.values()) - set(ROLES))
    if unknown:
        raise BadSetting(f"access.oidc_roles: {unknown[0]!r} is no role; the roles are {', '.join(ROLES)}")
    if not settings.oidc_roles:
        raise BadSetting("access.oidc_roles is empty, so that nobody of the provider's could come in")
    if settings.oidc_client_secret and settings.oidc_client_secret_file:
        raise BadSetting("access.oidc_client_secret and access.oidc_client_secret_file: one of them")
    if not settings.oidc_client_secret_file:
        return settings.oidc_client_secret
    try:
        return Path(settings.oidc_client_secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"access.oidc_client_secret_file cannot be read: {error}") from error


def _check_url(url: str, what: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and _near(parts.hostname or ""):
        return
    error: type[CocketError] = BadSetting if "." in what else Unavailable
    raise error(f"{what} {url[:200]!r}: a provider is reached by https (by http on this machine only)")


def _near(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _form(text: str) -> str:
    """As RFC 6749 (2.3.1) wants name and secret before they go into Basic."""
    return urlencode({"": text})[1:]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []
