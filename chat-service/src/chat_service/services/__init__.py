"""Classes that make decisions, one per subject."""
