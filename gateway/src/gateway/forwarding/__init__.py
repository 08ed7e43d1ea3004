"""Forwarding to the services inside: who gets which token, which headers pass, and how answers are streamed."""
