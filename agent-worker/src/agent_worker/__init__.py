"""The agent-worker: claims runs, executes the MCP agent and publishes what happens."""
