"""Settings of the gateway."""

import json
import re
from typing import Annotated, Literal, Self

from pydantic import AnyHttpUrl, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from gateway.edge.settings import EdgeSettings
from gateway.limits.settings import LimitSettings
from service_kit.settings import HttpUrl

JwtAlgorithm = Literal["EdDSA", "RS256", "ES256", "HS256"]

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?|https?://\[[0-9a-f:]+\](:[0-9]+)?")
"""As browsers send it: neither `*`, nor `null`, nor with a path (RFC 6454, section 6.2)."""

HS256_MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key of at least the hash's size."""


class Settings(LimitSettings, EdgeSettings):
    """What the gateway reads from the environment."""

    gateway_port: int = 8000

    chat_url: HttpUrl = AnyHttpUrl("http://127.0.0.1:8010")
    history_url: HttpUrl = AnyHttpUrl("http://127.0.0.1:8020")
    tools_url: HttpUrl = AnyHttpUrl("http://127.0.0.1:8040")
    redis_url: str = "redis://127.0.0.1:6379/0"

    better_auth_url: HttpUrl = AnyHttpUrl("http://localhost:3000")
    better_auth_secret: SecretStr | None = None
    """Shared with Better Auth; needed with HS256 alone."""

    jwt_algorithm: JwtAlgorithm = "EdDSA"
    """The one algorithm that public tokens may use. What a token says of itself is never asked."""

    jwt_issuer: str = ""
    """Required `iss`; the default is `BETTER_AUTH_URL`."""

    jwt_audience: str = "threadkeep"
    jwt_leeway_seconds: float = Field(default=5.0, ge=0, le=120)
    jwt_max_bytes: int = Field(default=8192, ge=256)

    jwt_cache_seconds: float = Field(default=30.0, ge=0)
    """How long a verified token is trusted without another look at its signature and its key. Never past its `exp`."""

    jwt_cache_entries: int = Field(default=10_000, ge=1)

    jwks_url: str = ""
    """Where the issuer's public keys are; the default is `BETTER_AUTH_URL` + `/api/auth/jwks`."""

    jwks_refresh_floor_seconds: float = Field(default=30.0, ge=0)
    """Shortest time between two fetches that unknown key ids cause, unless one has just brought a new key."""

    jwks_max_age_seconds: float = Field(default=300.0, gt=0)
    """Age at which the keys are fetched again in the background; a key that the issuer withdrew dies then."""

    jwks_fetch_seconds: float = Field(default=5.0, gt=0)
    """How long one fetch of the keys may take in all. Only requests with an unknown key wait for it."""

    chatkit_session_seconds: int = Field(default=600, ge=1, le=86_400)
    """Longest life of a ChatKit session, and the default one. Older ones end at once when it is lowered."""

    session_revocation_seconds: float = Field(default=5.0, ge=0, le=60)
    """How long a verified ChatKit session is trusted without another look at Redis for its revocation."""

    session_revocation_fail: Literal["open", "closed"] = "open"
    """ChatKit sessions while Redis does not answer: accepted (`open`), even revoked ones, or refused with 503."""

    request_max_bytes: int = Field(default=1_048_576, ge=0)
    """Largest request body."""

    upstream_response_seconds: float = Field(default=30.0, gt=0)
    """How long a service may be silent before and while it answers."""

    stream_idle_seconds: float = Field(default=600.0, gt=0)
    """How long an event stream may be silent: long, since a run may wait behind another one of its conversation."""

    upstream_connections: int = Field(default=8192, ge=1)
    """Most connections to one service, for streams (each holds one) and for all else apart."""

    keepalive_seconds: float = Field(default=15.0, gt=0)
    """Silence after which a comment is sent on an event stream."""

    cors_allow_origins: Annotated[list[str], NoDecode] = Field(default_factory=list[str])
    """Other origins whose pages may call the gateway, as JSON list or separated by commas. None by default."""

    @field_validator("cors_allow_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return [origin.strip() for origin in value.split(",") if origin.strip()]

    @field_validator("cors_allow_origins")
    @classmethod
    def _check_origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"not an origin such as https://page.example: {origin!r}")
        return origins

    @model_validator(mode="after")
    def _check_secrets(self) -> Self:
        if self.internal_signing_key is None:
            raise ValueError("the gateway needs an INTERNAL_SIGNING_KEY: the services inside accept nothing else")
        secret = self.better_auth_secret.get_secret_value() if self.better_auth_secret else ""
        if self.jwt_algorithm == "HS256" and len(secret.encode()) < HS256_MIN_SECRET_BYTES:
            raise ValueError(
                f"JWT_ALGORITHM=HS256 needs a BETTER_AUTH_SECRET of {HS256_MIN_SECRET_BYTES} bytes or more"
            )
        return self

    @property
    def signing_key(self) -> str:
        """Return the private key that internal tokens are signed with."""
        return self.internal_signing_key.get_secret_value() if self.internal_signing_key else ""

    @property
    def issuer(self) -> str:
        """Return the `iss` that public tokens must carry."""
        return self.jwt_issuer or str(self.better_auth_url).rstrip("/")

    @property
    def key_set_url(self) -> str:
        """Return where the issuer's JWKS is."""
        return self.jwks_url or str(self.better_auth_url).rstrip("/") + "/api/auth/jwks"
