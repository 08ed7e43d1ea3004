"""SQL: takes and returns domain objects. Every statement names the owner, and row-level security checks it again."""
