"""The types of items that a conversation can hold, as `openai.types.responses.ResponseInputItemParam` has them.

Left out are `item_reference` and `compaction_trigger`: they are instructions to a model's endpoint, not content.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ItemType:
    """How ids of this type begin, what a client must send, and whether an answer always has a `status`."""

    prefix: str
    required: tuple[str, ...] = ()
    has_status: bool = False


ITEM_TYPES: Mapping[str, ItemType] = {
    "message": ItemType("msg", ("role", "content"), has_status=True),
    "function_call": ItemType("fc", ("call_id", "name", "arguments"), has_status=True),
    "function_call_output": ItemType("fco", ("output",), has_status=True),
    "reasoning": ItemType("rs", ("summary",)),
    "file_search_call": ItemType("fs", ("queries", "status")),
    "web_search_call": ItemType("ws", ("action", "status")),
    "computer_call": ItemType("cu", ("call_id", "pending_safety_checks", "status")),
    "computer_call_output": ItemType("cuo", ("call_id", "output"), has_status=True),
    "tool_search_call": ItemType("tsc", ("arguments",), has_status=True),
    "tool_search_output": ItemType("tso", ("tools",), has_status=True),
    "additional_tools": ItemType("at", ("role", "tools")),
    "configuration_update": ItemType("cfg"),
    "compaction": ItemType("cmp", ("encrypted_content",)),
    "image_generation_call": ItemType("ig", ("result", "status")),
    "code_interpreter_call": ItemType("ci", ("code", "container_id", "outputs", "status")),
    "local_shell_call": ItemType("lsh", ("action", "call_id", "status")),
    "local_shell_call_output": ItemType("lsho", ("output",)),
    "shell_call": ItemType("sh", ("action", "call_id"), has_status=True),
    "shell_call_output": ItemType("sho", ("call_id", "output"), has_status=True),
    "apply_patch_call": ItemType("apc", ("call_id", "operation", "status")),
    "apply_patch_call_output": ItemType("apco", ("call_id", "status")),
    "mcp_list_tools": ItemType("mcpl", ("server_label", "tools")),
    "mcp_approval_request": ItemType("mcpr", ("arguments", "name", "server_label")),
    "mcp_approval_response": ItemType("mcpa", ("approval_request_id", "approve")),
    "mcp_call": ItemType("mcp", ("arguments", "name", "server_label")),
    "custom_tool_call": ItemType("ctc", ("call_id", "input", "name")),
    "custom_tool_call_output": ItemType("ctco", ("call_id", "output")),
    "program": ItemType("prog", ("call_id", "code", "fingerprint")),
    "program_output": ItemType("progo", ("call_id", "result", "status")),
}
"""`id` is nowhere required: the service gives one to an item that comes without."""
