"""What others wrote as YAML is read as plain data, whatever it says."""

import pytest
import yaml

from rethinking.runs.plain import plain_text, read_plain

# Nine times nine times nine … of one word.
REFERENCES = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}' if n else 'word'] * 9)}]\n" for n in range(12))
MERGED = "a: &a {k: 1}\nb: {<<: *a}\n"


@pytest.mark.parametrize("text", ["", "3", "a: {b: [1, 2.5, null, text]}", "- 1\n- {a: '*b', c: 2*3}"])
def test_plain_data_is_what_any_reader_says(text: str) -> None:
    assert read_plain(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (REFERENCES, "refers to another place"),
        (MERGED, "refers to another place"),
        ("a: &a [*a]", "refers to another place"),
        ("[" * 10**6, "levels deep"),
        ("- " * 10**5, "levels deep"),
        ("a: {", "flow node"),
        ("a: !!bool x", "x"),
        ("a: !!int ''", "index"),
        ("a: !!float ''", "index"),
        ("a: !!timestamp x", "group"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_the_reason(text: str, reason: str) -> None:
    """Before any of it is made: references would fill the memory, great depth ends the process."""
    with pytest.raises(ValueError, match=reason):
        read_plain(text)


@pytest.mark.parametrize(
    "data", [{}, [], {"b": [1, 2.5, None, "text"], "a": {"yes": "no", "long": "word " * 60, "ü": "'\"\n"}}]
)
def test_what_is_written_is_what_the_library_writes_and_reads_as_it_was(data: object) -> None:
    assert plain_text(data) == yaml.safe_dump(data, sort_keys=False)
    assert read_plain(plain_text(data)) == data
    with pytest.raises(yaml.YAMLError):
        plain_text({"not": object()})
