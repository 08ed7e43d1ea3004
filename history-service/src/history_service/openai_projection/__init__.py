"""Between OpenAI's conversation items and ChatKit's thread items: pure functions without I/O.

`accepting` takes what a client sends, `drawing` makes the row that ChatKit shows of it, `reading` gives the OpenAI
items of any row. Shapes: `openai.types.conversations` and `chatkit.types`; tests compare with both.
"""
