"""The HTTP API, one file per resource. Every route names the scope it demands."""
