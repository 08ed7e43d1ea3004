"""`python -m chat_service`: serve until SIGTERM or SIGINT."""

from chat_service.app import create_app
from chat_service.resources import SERVICE
from chat_service.settings import Settings
from service_kit.app import run_service


def main() -> None:
    """Read the settings and serve."""
    settings = Settings()
    run_service(SERVICE, create_app(settings), settings, settings.chat_port)


if __name__ == "__main__":
    main()
