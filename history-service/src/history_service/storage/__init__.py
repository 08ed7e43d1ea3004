"""SQL. Takes and returns domain objects; every statement names the owner, and row-level security checks it again."""
