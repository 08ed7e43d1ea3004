"""Who is calling from outside: verification of Better Auth's JWTs and of ChatKit sessions."""
