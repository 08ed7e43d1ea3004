"""The MCP face: five tools, and how a call is known to be a user's."""
