"""What the launcher says when everything runs."""

from launcher.environments import Environments
from launcher.model import choose_model
from launcher.settings import LauncherSettings


def banner(settings: LauncherSettings, environments: Environments, seconds: float) -> str:
    """Return the lines: where to go, which model answers, how to stop."""
    gateway = environments.url_of("GATEWAY_PORT")
    where = environments.page_url if settings.with_page else f"{gateway} (API only: started without the page)"
    rows = {
        "Open": where,
        "API": gateway,
        "Model": str(choose_model(settings.environment)),
        "Workers": str(settings.workers),
        "Data": str(settings.data_dir),
        "Stop": "Ctrl-C here, or `make down`",
    }
    if not settings.with_page:
        del rows["API"]
    lines = [f"  {name:<8} {value}" for name, value in rows.items()]
    return "\n".join(["", f"Threadkeep is up ({seconds:.1f} s).", "", *lines, ""])
