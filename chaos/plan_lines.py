"""Which line of a plan a mistake is in: YAML's parser knows, and JSON is YAML, too."""

from __future__ import annotations

from collections.abc import Sequence


def line_of(suffix: str, text: str, path: Sequence[str | int]) -> int:
    """The line, from 1 on, that `path` leads to: ("faults", 2, "kill", "whom"). 0 if it can't be known.

    A path that goes further than the text ends at the last step that is there.
    """
    if suffix == ".toml":
        return 0
    try:
        import yaml

        node = yaml.compose(text, Loader=yaml.SafeLoader)  # JSON is YAML, too
    except Exception:  # no pyyaml; or JSON that is no YAML
        return 0
    line = 0
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(step)), None)
            if found is None:
                break
            key, node = found
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line
