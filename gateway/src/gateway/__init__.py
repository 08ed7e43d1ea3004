"""The public edge: verifies Better Auth JWTs, authorises the user's paths, forwards and streams."""
