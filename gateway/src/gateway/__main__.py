"""Run the gateway: `python -m gateway`."""

from gateway.app import create_app
from gateway.settings import Settings
from service_kit.app import run_service


def main() -> None:
    """Read the settings and serve."""
    settings = Settings()
    run_service("gateway", create_app(settings), settings, settings.gateway_port)


if __name__ == "__main__":
    main()
