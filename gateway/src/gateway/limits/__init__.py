"""How much one user and one client address may ask for."""
