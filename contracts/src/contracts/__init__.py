"""What two Threadkeep services must agree on, and nothing else. Imports no framework but pydantic."""
