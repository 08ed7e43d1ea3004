"""The environment of each service: what it needs and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.principal import Service
from launcher.children import inherited_environment
from launcher.model import choose_model
from launcher.ports import LOOPBACK
from launcher.secret_store import Secrets
from launcher.settings import LauncherSettings
from launcher.trust import SERVICE_TRUST, TRUST, internal_trust, read_service_trust

COMMON = ("LOG_FORMAT", "LOG_LEVEL", "SHUTDOWN_GRACE_SECONDS")
PUBLIC_TOKENS = ("JWT_ALGORITHM", "JWT_ISSUER", "JWT_AUDIENCE")
NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
POOL = (
    *("DATABASE_POOLER", "DATABASE_POOL_SIZE", "DATABASE_WAKE_SECONDS"),
    *("DATABASE_POOL_TIMEOUT_SECONDS", "DATABASE_CONNECT_TIMEOUT_SECONDS", "DATABASE_COMMAND_TIMEOUT_SECONDS"),
)

OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "gateway": (
        *(*PUBLIC_TOKENS, "JWKS_URL", "JWT_LEEWAY_SECONDS", "JWT_MAX_BYTES", "JWT_CACHE_SECONDS"),
        *("JWT_CACHE_ENTRIES", "JWKS_REFRESH_FLOOR_SECONDS", "JWKS_MAX_AGE_SECONDS", "REQUEST_MAX_BYTES"),
        "JWKS_FETCH_SECONDS",
        *("UPSTREAM_RESPONSE_SECONDS", "STREAM_IDLE_SECONDS", "UPSTREAM_CONNECTIONS", "KEEPALIVE_SECONDS"),
        *("CHATKIT_SESSION_SECONDS", "SESSION_REVOCATION_SECONDS", "SESSION_REVOCATION_FAIL"),
        *("RATE_LIMIT_USER", "RATE_LIMIT_ADDRESS", "RATE_LIMIT_FAIL", "RATE_LIMIT_SYNC_MS", "RATE_LIMIT_KEYS"),
        *("STREAMS_PER_USER", "STREAMS_PER_ADDRESS", "STREAMS_FAIL", "STREAM_LEASE_SECONDS"),
        *("EDGE_HEAD_SECONDS", "EDGE_BODY_IDLE_SECONDS", "EDGE_WRITE_IDLE_SECONDS", "EDGE_MAX_HEAD_BYTES"),
        *("EDGE_CONNECTIONS", "EDGE_CONNECTIONS_PER_ADDRESS"),
        "CORS_ALLOW_ORIGINS",
    ),
    "chat-service": (
        *("RUN_LEASE_SECONDS", "RELAY_QUEUE_FRAMES", "KEEPALIVE_SECONDS", "MAX_REQUEST_BYTES"),
        *("DISCONNECT_POLICY", "DISCONNECT_GRACE_SECONDS", "CHAT_ANSWER_SECONDS"),
    ),
    "history-service": (
        *("CONTEXT_MESSAGES", "RUN_LEASE_SECONDS", "RUN_MAX_ATTEMPTS", "MAX_BODY_BYTES", "SEARCH_CANDIDATES"),
        *("RUN_QUEUE_LIMIT", "RUN_QUEUE_LIMIT_PER_USER", "RUN_SWEEP_SECONDS", "RUN_EXPIRY_SECONDS"),
        *("MAX_ATTACHMENT_BYTES", "BLOB_S3_ENDPOINT_URL", "BLOB_S3_REGION"),
        *("BLOB_S3_ACCESS_KEY_ID", "BLOB_S3_SECRET_ACCESS_KEY"),
        *("RETENTION_DAYS", "RETENTION_BATCH_SIZE", "RETENTION_INTERVAL_SECONDS", "IDEMPOTENCY_HOURS", *POOL),
    ),
    "agent-worker": (
        *("MODEL_BASE_URL", "MODEL_API_KEY", "OPENAI_API_KEY", "MODEL_API", "MODEL_TIMEOUT_SECONDS"),
        *("DEMO_TOKENS_PER_SECOND", "RELAY_FLUSH_MS", "RUN_LEASE_SECONDS", "RUN_TIMEOUT_SECONDS", "RUN_MAX_TURNS"),
        *("RUN_LOG_SECONDS", "RUN_LOG_AFTER_END_SECONDS", "RUN_LOG_MAX_EVENTS", "EVENT_DELIVERY_SECONDS"),
        "RUN_RESPONSE_MAX_CHARS",
        *("WORKER_CONCURRENCY", "WORKER_POLL_SECONDS", "WORKER_DRAIN_SECONDS"),
        *("TOOL_TIMEOUT_SECONDS", "TOOL_PATIENCE_SECONDS", "TOOL_CONNECTIONS", *NETWORK),
    ),
    "task-tools": (
        *("MCP_ALLOWED_HOSTS", "MAX_BODY_BYTES", "TOOL_CALL_RETENTION_SECONDS", "TOOL_CALL_SWEEP_SECONDS", *POOL),
    ),
    "frontend": (
        *(*PUBLIC_TOKENS, "JWT_CACHE_SECONDS", "JWT_EXPIRY_SECONDS", "TRUSTED_ORIGINS", "TRUSTED_PROXIES"),
        *("JWT_KEY_ROTATION_DAYS", "JWT_KEY_GRACE_SECONDS"),
        *("AUTH_RATE_LIMIT_MAX", "AUTH_RATE_LIMIT_WINDOW_SECONDS"),
        *("CHATKIT_DOMAIN_KEY", "CHATKIT_SCRIPT_URL", "CHATKIT_SCRIPT_TIMEOUT_MS"),
    ),
}
"""Settings handed on when they are set; a service has its own defaults for the rest."""

LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")
DEFAULT_ALGORITHM = "EdDSA"
SYMMETRIC_ALGORITHM = "HS256"
JWKS_PATH = "/api/auth/jwks"


@dataclass(frozen=True)
class Addresses:
    """Where the databases are."""

    database_url: str
    redis_url: str


class Environments:
    """Makes the environment of each process from the settings, the secrets and the addresses."""

    def __init__(
        self, settings: LauncherSettings, secrets: Secrets, addresses: Addresses, log_format: str = "auto"
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._addresses = addresses
        self._common = {"PYTHONUNBUFFERED": "1", "BIND_HOST": settings.bind_host, "LOG_FORMAT": log_format}

    def of(self, service: str, **extra: str) -> dict[str, str]:
        """Return the environment of a service; `extra` is added to it."""
        given = self._settings.environment
        names = (*COMMON, *OPTIONAL[service])
        optional = {name: given[name] for name in names if name in given}
        required = getattr(self, f"_{service.replace('-', '_')}")()
        return inherited_environment(given) | self._common | optional | required | extra

    @property
    def page_url(self) -> str:
        """The address of the page, as people type it."""
        return self._settings.environment.get("BETTER_AUTH_URL", f"http://localhost:{self._port('FRONTEND_PORT')}")

    def url_of(self, port_setting: str) -> str:
        """Return the address of a service on this machine."""
        return f"http://{LOOPBACK}:{self._port(port_setting)}"

    def _gateway(self) -> dict[str, str]:
        given = self._settings.environment
        algorithm = given.get("JWT_ALGORITHM", DEFAULT_ALGORITHM)
        values = {
            "GATEWAY_PORT": self._port("GATEWAY_PORT"),
            "BETTER_AUTH_URL": self.page_url,
            "CHAT_URL": self.url_of("CHAT_PORT"),
            "HISTORY_URL": self.url_of("HISTORY_PORT"),
            "TOOLS_URL": self.url_of("TOOLS_PORT"),
            "REDIS_URL": self._addresses.redis_url,
            "INTERNAL_SIGNING_KEY": self._secrets.signing_keys["gateway"],
            # The page, and whatever else is on this machine, asks for others or for the owner.
            "TRUSTED_PROXIES": ",".join(filter(None, (given.get("TRUSTED_PROXIES"), *LOOPBACK_NETWORKS))),
        }
        if algorithm == SYMMETRIC_ALGORITHM:
            values["BETTER_AUTH_SECRET"] = self._auth_secret
        elif "JWKS_URL" not in given and self._settings.with_page:
            # The page is on this machine, whatever its public address is.
            values["JWKS_URL"] = self.url_of("FRONTEND_PORT") + JWKS_PATH
        return values

    def _chat_service(self) -> dict[str, str]:
        return {
            "CHAT_PORT": self._port("CHAT_PORT"),
            "HISTORY_URL": self.url_of("HISTORY_PORT"),
            "REDIS_URL": self._addresses.redis_url,
            **self._model(),
            **self._internal("chat-service"),
        }

    def _history_service(self) -> dict[str, str]:
        return {
            "HISTORY_PORT": self._port("HISTORY_PORT"),
            "DATABASE_URL": self._addresses.database_url,
            "BLOB_URL": self._blob_url,
            **self._internal("history-service"),
        }

    def _agent_worker(self) -> dict[str, str]:
        return {
            "WORKER_PORT": self._port("WORKER_PORT"),
            "HISTORY_URL": self.url_of("HISTORY_PORT"),
            "TOOLS_URL": self.url_of("TOOLS_PORT"),
            "REDIS_URL": self._addresses.redis_url,
            **self._model(),
            **self._internal("agent-worker"),
        }

    def _task_tools(self) -> dict[str, str]:
        return {
            "TOOLS_PORT": self._port("TOOLS_PORT"),
            "DATABASE_URL": self._addresses.database_url,
            **self._internal("task-tools"),
        }

    def _frontend(self) -> dict[str, str]:
        return {
            "FRONTEND_PORT": self._port("FRONTEND_PORT"),
            "DATABASE_URL": self._addresses.database_url,
            "BETTER_AUTH_SECRET": self._auth_secret,
            "BETTER_AUTH_URL": self.page_url,
            "GATEWAY_URL": self.url_of("GATEWAY_PORT"),
            "NODE_ENV": "production",
            "NEXT_TELEMETRY_DISABLED": "1",
        }

    def _internal(self, service: Service) -> dict[str, str]:
        values: dict[str, str] = {}
        if service in self._secrets.signing_keys:
            values["INTERNAL_SIGNING_KEY"] = self._secrets.signing_keys[service]
        if service in TRUST:
            others = read_service_trust(self._settings.environment.get(SERVICE_TRUST))
            values["INTERNAL_TRUST"] = internal_trust(service, self._secrets, others)
        return values

    def _model(self) -> dict[str, str]:
        choice = choose_model(self._settings.environment)
        return {"MODEL_PROVIDER": choice.provider} | ({"MODEL": choice.model} if choice.model else {})

    @property
    def _auth_secret(self) -> str:
        return self._settings.environment.get("BETTER_AUTH_SECRET", self._secrets.better_auth_secret)

    @property
    def _blob_url(self) -> str:
        folder = self._settings.data_dir.absolute() / "attachments"
        return self._settings.environment.get("BLOB_URL", folder.as_uri())

    def _port(self, setting: str) -> str:
        return str(self._settings.ports[setting])
