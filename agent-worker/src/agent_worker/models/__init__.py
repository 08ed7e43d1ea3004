"""The models a worker can run: OpenAI's, any compatible one, and the keyless demo model."""
