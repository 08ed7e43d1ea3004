"""Run the gateway: `python -m gateway`."""

from gateway.app import create_app
from gateway.edge.protocol import edge_options
from gateway.settings import Settings
from service_kit.app import run_service


def main() -> None:
    """Read the settings and serve."""
    settings = Settings()
    options = edge_options(settings, settings.trusted_proxies)
    run_service("gateway", create_app(settings), settings, settings.gateway_port, **options)


if __name__ == "__main__":
    main()
