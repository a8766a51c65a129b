"""An OpenID Connect provider on localhost that signs with keys of its own, built on Authlib's server side.

It stands for the platform's own provider (Keycloak, Okta, Entra ID), which tests cannot have. People log in by a name
alone. What it does wrong, a test says: `wrong_claims` go over those of the ID token, `signs_with` is another's key.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import ERROR, getLogger
from urllib.parse import urlencode

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, Response, jsonify, redirect, request
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

CLIENT, SECRET = "likeness-console", "a secret of client and provider"
LOGIN_PAGE = """<!doctype html><html lang="en"><title>Test provider</title><h1>Test provider</h1>
<form method="post"><label>Name <input name="who" autofocus></label><button>Log in</button></form></html>"""


@dataclass
class Client(ClientMixin):
    redirect_uri: str
    client_id: str = CLIENT

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return self.redirect_uri

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret):
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "client_secret_basic"

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):
    code: str
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str
    who: str

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return None

    def get_acr(self):
        return None

    def get_amr(self):
        return None


def new_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": kid, "use": "sig", "alg": "RS256"})


@dataclass
class OidcProvider:
    """`people`: the claims of each by the name they log in with; `asked`: the paths that were asked for; `codes`:
    those that nobody took yet."""

    site: str = ""
    people: dict[str, dict] = field(default_factory=dict)
    keys: list[RSAKey] = field(default_factory=lambda: [new_key("first")])
    signs_with: RSAKey | None = None
    wrong_claims: dict = field(default_factory=dict)
    ends_sessions: bool = True
    calls_itself: str = ""
    asked: list[str] = field(default_factory=list)
    codes: dict[str, Code] = field(default_factory=dict)
    issuer: str = ""

    def person(self, name: str, *groups: str, **claims: object) -> None:
        about = {"sub": f"sub-of-{name}", "preferred_username": name, "name": f"{name.title()} Holm"}
        self.people[name] = about | {"groups": list(groups)} | claims

    def rotate(self) -> None:
        """From now on another key signs, and the one before is forgotten."""
        self.keys = [new_key(f"key-{len(self.asked)}")]

    @contextmanager
    def running(self) -> Iterator["OidcProvider"]:
        app = self._app()
        getLogger("werkzeug").setLevel(ERROR)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        self.issuer = f"http://localhost:{server.server_port}/realms/test"  # another site than 127.0.0.1
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _app(self) -> Flask:
        app = Flask("provider")
        server = AuthorizationServer(
            app, query_client=lambda _: Client(f"{self.site}/login/oidc/callback"), save_token=lambda *_: None
        )
        server.register_grant(_code_grant(self), [_id_token(self), CodeChallenge(required=True)])
        base = "/realms/test"

        @app.before_request
        def heed():
            self.asked.append(request.path.removeprefix(base))

        @app.get(f"{base}/.well-known/openid-configuration")
        def discovery():
            ends = {"end_session_endpoint": f"{self.issuer}/logout"} if self.ends_sessions else {}
            return jsonify(
                issuer=self.calls_itself or self.issuer,
                authorization_endpoint=f"{self.issuer}/auth",
                token_endpoint=f"{self.issuer}/token",
                jwks_uri=f"{self.issuer}/keys",
                token_endpoint_auth_methods_supported=["client_secret_basic"],
                **ends,
            )

        @app.get(f"{base}/keys")
        def keys():
            return jsonify(KeySet(self.keys).as_dict(private=False))

        @app.route(f"{base}/auth", methods=["GET", "POST"])
        def auth():
            who = request.form.get("who") or request.args.get("as")
            if who is None:
                return Response(LOGIN_PAGE, content_type="text/html")
            if who not in self.people:
                sent = {"error": "access_denied", "state": request.args["state"]}
                return redirect(f"{request.args['redirect_uri']}?{urlencode(sent)}")
            asked = server.create_oauth2_request(None)
            return server.create_authorization_response(asked, who, server.get_authorization_grant(asked))

        @app.post(f"{base}/token")
        def token():
            return server.create_token_response()

        @app.get(f"{base}/logout")
        def log_out():
            return redirect(request.args["post_logout_redirect_uri"])

        return app


def _code_grant(provider: OidcProvider) -> type[AuthorizationCodeGrant]:
    class Grant(AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]

        def save_authorization_code(self, code, request):
            data = request.payload.data
            provider.codes[code] = Code(
                code,
                request.payload.redirect_uri,
                request.scope,
                data["nonce"],
                data["code_challenge"],
                data["code_challenge_method"],
                request.user,
            )

        def query_authorization_code(self, code, client):
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code):
            del provider.codes[authorization_code.code]

        def authenticate_user(self, authorization_code):
            return authorization_code.who

    return Grant


def _id_token(provider: OidcProvider) -> OpenIDCode:
    class Signed(OpenIDCode):
        def exists_nonce(self, nonce, request):
            return any(code.nonce == nonce for code in provider.codes.values())

        def get_client_claims(self, client):
            return {"iss": provider.issuer, "aud": [client.get_client_id()]}

        def get_client_algorithm(self, client):
            return "RS256"

        def resolve_client_private_key(self, client):
            return provider.signs_with or provider.keys[0]

        def get_encode_header(self, client):
            return {"alg": "RS256", "kid": (provider.signs_with or provider.keys[0]).kid}

        def generate_user_info(self, user, scope):
            return provider.people[user] | provider.wrong_claims

    return Signed(require_nonce=True)
