"""Login by OpenID Connect: authorization code with PKCE, state and nonce, by the provider's discovery document.

1. `leave` sends the browser to the provider, with an attempt that the browser keeps in a cookie.
2. `arrive` fetches the ID token for the code that the browser brings back, proves it, and reads who that is.
3. `farewell` is where the provider ends its own session.

Asks the issuer and the addresses that its discovery document names, over TLS, and nobody else.
"""

import logging
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict
from requests import RequestException
from requests.adapters import HTTPAdapter

from config.settings import Oidc, Web, secure_address
from records.people.arrivals import Arrival
from web.languages import N_, Language

DISCOVERY = "/.well-known/openid-configuration"
CALLBACK = "/login/oidc/callback"
LOGGED_OUT = "/login?why=out"
METADATA_LASTS = timedelta(hours=1)
AWAY_LASTS = timedelta(seconds=5)
"""Nobody waits for a provider that did not answer so short a time ago."""
SECONDS = 5.0
SKEW_SECONDS = 60
"""The provider's clock may be so far off ours."""
SIGNATURES = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")

log = logging.getLogger(__name__)


def provider_name(oidc: Oidc, language: Language) -> str:
    """What pages call the provider; empty where there is none."""
    return (oidc.label or language.text(N_("single sign-on"))) if oidc.issuer else ""


class OidcError(Exception):
    """`reason`: provider_away (nobody answers), provider_wrong (what it says cannot be trusted), code_refused."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Attempt(BaseModel):
    """A login that is under way at the provider; only the browser keeps it. `place`: where it leads in the end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: str
    nonce: str
    verifier: str
    place: str


class OidcClient:
    """The console as the provider knows it; safe to share among threads. `clock` gives the moment, aware."""

    def __init__(self, web: Web, *, clock: Callable[[], datetime]) -> None:
        """`web` must have an issuer. Asks nobody yet."""
        self._settings = web.oidc
        self._issuer = cast(str, web.oidc.issuer)
        self._site = cast(str, web.public_address)
        self._clock = clock
        self._metadata: tuple[datetime, Mapping[str, Any]] | None = None
        self._keys: KeySet | None = None
        self._away_until: datetime | None = None

    def leave(self, place: str) -> tuple[str, Attempt]:
        """Where to send the browser, and what it must bring back. Raises OidcError."""
        metadata = self._discovered()
        attempt = Attempt(state=generate_token(32), nonce=generate_token(32), verifier=generate_token(64), place=place)
        with self._session(metadata) as session:
            url, _ = session.create_authorization_url(
                metadata["authorization_endpoint"],
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return str(url), attempt

    def arrive(self, attempt: Attempt, code: str) -> Arrival:
        """Whom the provider vouches for, by the code that came back. Raises OidcError."""
        metadata = self._discovered()
        try:
            with self._session(metadata) as session:
                token = session.fetch_token(
                    metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=attempt.verifier,
                    redirect_uri=self._site + CALLBACK,
                    allow_redirects=False,
                )
        except OAuthError as error:
            # A code that was used or is too old; all else is between the provider and us.
            reason = "code_refused" if error.error == "invalid_grant" else "provider_wrong"
            raise OidcError(reason, f"the token endpoint says {error.error}") from None
        except (RequestException, ValueError) as error:
            raise self._away(error) from None
        return self._arrival(self._proven(metadata, token, attempt.nonce))

    def farewell(self) -> str | None:
        """Where the provider ends its session and sends the browser back; None where it announces no such place."""
        try:
            end = self._discovered().get("end_session_endpoint")
            if not end:
                return None
            query = {"client_id": self._settings.client_id, "post_logout_redirect_uri": self._site + LOGGED_OUT}
            return f"{secure_address(end)}{'&' if '?' in end else '?'}{urlencode(query)}"
        except (OidcError, ValueError) as error:
            log.warning("the provider's own session is not ended: %s", error)
            return None

    def _discovered(self) -> Mapping[str, Any]:
        """The discovery document, not older than an hour."""
        now = self._clock()
        if self._metadata is not None and now - self._metadata[0] < METADATA_LASTS:
            return self._metadata[1]
        if self._away_until is not None and now < self._away_until:
            raise OidcError("provider_away", "it did not answer a moment ago")
        metadata = self._got(self._issuer.rstrip("/") + DISCOVERY)
        try:
            if metadata["issuer"] != self._issuer:
                raise ValueError(f"it calls itself {metadata['issuer']}, not {self._issuer}")
            for name in ENDPOINTS:
                secure_address(metadata[name])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise OidcError("provider_wrong", f"its discovery document is unfit: {error!r}") from None
        self._metadata = (now, metadata)
        return metadata

    def _proven(self, metadata: Mapping[str, Any], token: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        """The claims of the ID token, once all about it has been checked."""
        must = {name: {"essential": True} for name in ("sub", "exp", "iat")}
        must["iss"] = {"essential": True, "value": self._issuer}  # type: ignore[dict-item]
        must["aud"] = {"essential": True, "value": self._settings.client_id}  # type: ignore[dict-item]
        known = {"nonce": nonce, "client_id": self._settings.client_id, "access_token": token.get("access_token")}
        try:
            signed = self._opened(metadata, str(token.get("id_token", "")))
            claims = CodeIDToken(signed.claims, signed.header, options=must, params=known)
            claims.validate(now=int(self._clock().timestamp()), leeway=SKEW_SECONDS)
        except (JoseError, ValueError, TypeError) as error:
            raise OidcError("provider_wrong", f"its ID token is unfit: {error}") from None
        return cast(Mapping[str, Any], claims)

    def _opened(self, metadata: Mapping[str, Any], id_token: str) -> jwt.Token:
        """Of a sound signature; keys that are not those of last time are asked for once more."""
        if self._keys is not None:
            try:
                return jwt.decode(id_token, self._keys, algorithms=SIGNATURES)
            except (JoseError, ValueError):
                pass
        self._keys = KeySet.import_key_set(cast(Any, self._got(metadata["jwks_uri"])))
        return jwt.decode(id_token, self._keys, algorithms=SIGNATURES)

    def _arrival(self, claims: Mapping[str, Any]) -> Arrival:
        login = claims.get(self._settings.login_claim)
        if not isinstance(login, str) or not login.strip():
            raise OidcError("provider_wrong", f"its ID token has no claim {self._settings.login_claim}")
        if self._settings.login_claim == "email" and claims.get("email_verified") is not True:
            raise OidcError("provider_wrong", "its ID token says that the email is not verified")
        name = claims.get("name")
        return Arrival(
            subject=f"{self._issuer} {claims['sub']}",
            login=login,
            name=name if isinstance(name, str) and name.strip() else login,
            role=next((role for value, role in self._settings.roles.items() if value in self._values(claims)), None),
        )

    def _values(self, claims: Mapping[str, Any]) -> list[Any]:
        """What the role claim holds; a claim's name may have dots of its own."""
        name = self._settings.role_claim
        found: Any = claims
        for part in [name] if name in claims else name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found if isinstance(found, list) else [found]

    def _got(self, url: str) -> Mapping[str, Any]:
        """A JSON object from the provider."""
        try:
            with self._session({}) as session:
                answer = session.get(url, withhold_token=True, allow_redirects=False)
            answer.raise_for_status()
            found = answer.json()
        except (RequestException, ValueError) as error:
            raise self._away(error) from None
        if not isinstance(found, dict):
            raise OidcError("provider_wrong", f"{url} holds no JSON object")
        return found

    def _away(self, error: Exception) -> OidcError:
        self._away_until = self._clock() + AWAY_LASTS
        return OidcError("provider_away", f"{type(error).__name__}: {error}")

    def _session(self, metadata: Mapping[str, Any]) -> OAuth2Session:
        secret = self._settings.client_secret
        session = OAuth2Session(
            self._settings.client_id,
            secret.get_secret_value() if secret else None,
            token_endpoint_auth_method=_client_auth(metadata, secret is not None),
            scope=" ".join(self._settings.scopes),
            redirect_uri=self._site + CALLBACK,
            code_challenge_method="S256",
            default_timeout=SECONDS,
        )
        session.mount("https://", _SystemTrust())
        return session


class _SystemTrust(HTTPAdapter):
    """Trusts whom the system trusts, and SSL_CERT_FILE."""

    def init_poolmanager(self, *args: Any, **how: Any) -> None:
        super().init_poolmanager(*args, **how, ssl_context=ssl.create_default_context())


def _client_auth(metadata: Mapping[str, Any], has_secret: bool) -> str:
    if not has_secret:
        return "none"
    offered = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"
