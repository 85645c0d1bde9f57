"""JSON that costs its reader more than its writer."""

BOMBS = {
    "nested lists": "[" * 30_000 + "]" * 30_000,
    "unclosed lists": "[" * 60_000,
    "nested objects": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "a large number": "9" * 60_000,
    "a large exponent": "1e" + "9" * 1_000,
    "many members": "{" + ",".join(f'"{n}":1' for n in range(6_000)) + "}",
    "one member many times": "{" + ",".join(['"a":1'] * 8_000) + "}",
    "a lonely surrogate": '"\\ud800"',
    "many escapes": '"' + "\\u0000" * 10_000 + '"',
}
