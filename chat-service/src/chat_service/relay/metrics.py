"""Metrics of the relay."""

from prometheus_client import Counter, Gauge

READERS = Gauge("threadkeep_relay_readers", "Open readers of runs.")
REREADS = Counter("threadkeep_relay_rereads_total", "Times a reader had to read the log again.", ["reason"])
LOSSES = Counter("threadkeep_relay_losses_total", "Times Redis had lost events and stored items took their place.")
ENDINGS = Counter("threadkeep_relay_endings_total", "Ended streams, by how the end became known.", ["source"])
