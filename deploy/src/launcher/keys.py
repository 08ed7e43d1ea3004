"""`python -m launcher.keys`: prints new secrets, in the form of `.env`, for docker-compose.yml."""

import sys

from launcher.secret_store import Secrets, generate_secrets
from launcher.trust import internal_trust


def compose_environment(secrets: Secrets) -> dict[str, str]:
    """Return the variables that docker-compose.yml asks for. None holds a quote or a dollar sign."""
    return {
        "POSTGRES_PASSWORD": secrets.postgres_superuser_password,
        "DATABASE_PASSWORD": secrets.database_password,
        "REDIS_PASSWORD": secrets.redis_password,
        "BETTER_AUTH_SECRET": secrets.better_auth_secret,
        "GATEWAY_SIGNING_KEY": secrets.signing_keys["gateway"],
        "CHAT_SIGNING_KEY": secrets.signing_keys["chat-service"],
        "HISTORY_SIGNING_KEY": secrets.signing_keys["history-service"],
        "WORKER_SIGNING_KEY": secrets.signing_keys["agent-worker"],
        "CHAT_TRUST": internal_trust("chat-service", secrets),
        "HISTORY_TRUST": internal_trust("history-service", secrets),
        "TOOLS_TRUST": internal_trust("task-tools", secrets),
    }


def main() -> None:
    """Print one `NAME='value'` a line."""
    for name, value in compose_environment(generate_secrets()).items():
        sys.stdout.write(f"{name}='{value}'\n")


if __name__ == "__main__":
    main()
