"""`python -m agent_worker`: run a worker, configured by the environment."""

from agent_worker.app import create_app
from agent_worker.settings import Settings
from service_kit.app import run_service


def main() -> None:
    """Run until SIGTERM."""
    settings = Settings()
    run_service("agent-worker", create_app(settings), settings, settings.worker_port)


if __name__ == "__main__":
    main()
