"""Speed, as ratios taken in one run: `make bench-relay`, `make bench-history`."""
