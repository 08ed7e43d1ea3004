"""The todo list: an MCP server for the agent, with a REST face for the tasks page."""
