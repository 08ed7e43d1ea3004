"""Run task-tools: `python -m task_tools`."""

from service_kit.app import run_service
from task_tools.app import SERVICE, create_app
from task_tools.settings import Settings


def main() -> None:
    """Read the settings and serve."""
    settings = Settings()  # pyright: ignore[reportCallIssue] - its fields come from the environment
    run_service(SERVICE, create_app(settings), settings, settings.tools_port)


if __name__ == "__main__":
    main()
