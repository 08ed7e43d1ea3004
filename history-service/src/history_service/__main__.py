"""`python -m history_service`: serve on HISTORY_PORT."""

from history_service.app import create_app
from history_service.resources import SERVICE
from history_service.settings import Settings
from service_kit.app import run_service


def main() -> None:
    """Read the settings from the environment and serve."""
    settings = Settings()  # pyright: ignore[reportCallIssue] - its fields come from the environment
    run_service(SERVICE, create_app(settings), settings, settings.history_port)


if __name__ == "__main__":
    main()
