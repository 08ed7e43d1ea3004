"""OpenAI items: an example of each type that a conversation can hold, and Hypothesis strategies."""

from collections.abc import Mapping

from hypothesis import strategies as st

from contracts.conversations import JsonObject
from tests.support.thread_items import texts

EXAMPLES: Mapping[str, JsonObject] = {
    "message": {"type": "message", "role": "user", "content": "Hi"},
    "function_call": {
        "type": "function_call",
        "call_id": "call_1",
        "name": "add_task",
        "arguments": '{"title":"milk"}',
    },
    "function_call_output": {"type": "function_call_output", "call_id": "call_1", "output": "added"},
    "reasoning": {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Think"}],
        "encrypted_content": "gAAA",
    },
    "file_search_call": {"type": "file_search_call", "queries": ["milk"], "status": "completed", "results": None},
    "web_search_call": {
        "type": "web_search_call",
        "action": {"type": "search", "query": "milk"},
        "status": "completed",
    },
    "computer_call": {
        "type": "computer_call",
        "call_id": "call_2",
        "action": {"type": "screenshot"},
        "pending_safety_checks": [],
        "status": "completed",
    },
    "computer_call_output": {
        "type": "computer_call_output",
        "call_id": "call_2",
        "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"},
    },
    "tool_search_call": {"type": "tool_search_call", "arguments": {"query": "x"}, "execution": "server"},
    "tool_search_output": {"type": "tool_search_output", "tools": [], "execution": "server"},
    "additional_tools": {"type": "additional_tools", "role": "developer", "tools": []},
    "configuration_update": {"type": "configuration_update"},
    "compaction": {"type": "compaction", "encrypted_content": "gAAA"},
    "image_generation_call": {"type": "image_generation_call", "result": "AAAA", "status": "completed"},
    "code_interpreter_call": {
        "type": "code_interpreter_call",
        "code": "1 + 1",
        "container_id": "cntr_1",
        "outputs": [{"type": "logs", "logs": "2"}],
        "status": "completed",
    },
    "local_shell_call": {
        "type": "local_shell_call",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
        "call_id": "call_3",
        "status": "completed",
    },
    "local_shell_call_output": {"type": "local_shell_call_output", "output": "{}"},
    "shell_call": {"type": "shell_call", "action": {"commands": ["ls"]}, "call_id": "call_4"},
    "shell_call_output": {"type": "shell_call_output", "call_id": "call_4", "output": []},
    "apply_patch_call": {
        "type": "apply_patch_call",
        "call_id": "call_5",
        "operation": {"type": "delete_file", "path": "a"},
        "status": "completed",
    },
    "apply_patch_call_output": {"type": "apply_patch_call_output", "call_id": "call_5", "status": "completed"},
    "mcp_list_tools": {"type": "mcp_list_tools", "server_label": "todo", "tools": []},
    "mcp_approval_request": {
        "type": "mcp_approval_request",
        "arguments": "{}",
        "name": "add_task",
        "server_label": "todo",
    },
    "mcp_approval_response": {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    "mcp_call": {
        "type": "mcp_call",
        "arguments": "{}",
        "name": "add_task",
        "server_label": "todo",
        "output": "added",
        "status": "completed",
    },
    "custom_tool_call": {"type": "custom_tool_call", "call_id": "call_6", "input": "x", "name": "grep"},
    "custom_tool_call_output": {"type": "custom_tool_call_output", "call_id": "call_6", "output": "y"},
    "program": {"type": "program", "call_id": "call_7", "code": "1", "fingerprint": "f"},
    "program_output": {"type": "program_output", "call_id": "call_7", "result": "1", "status": "completed"},
}


def _part(kind: str, **members: st.SearchStrategy[str]) -> st.SearchStrategy[JsonObject]:
    return st.fixed_dictionaries({"type": st.just(kind), **members})


_parts = st.one_of(
    _part("input_text", text=texts),
    _part("output_text", text=texts),
    _part("refusal", refusal=texts),
    _part("input_image", file_id=st.just("file_1")),
    _part("input_file", file_id=st.just("file_2"), filename=texts),
)


def messages() -> st.SearchStrategy[JsonObject]:
    """Messages as clients write them, short or in full."""
    return st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system", "developer"]),
            "content": texts | st.lists(_parts, max_size=3),
        },
        optional={"type": st.just("message"), "status": st.sampled_from(["completed", "incomplete", None])},
    )
