"""Reads pickles that others made as data: what they would call or make is noted, and nothing is imported or called."""

import pickletools
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

NUMBERS = ("f4", "f8", "i4", "i8")  # kinds of arrays that are read, always little-endian


@dataclass
class Made:
    """What a pickle would make: `call`, "module name", with `arguments`, and then what it would be told, `state`."""

    call: Any
    arguments: Any
    state: Any = None


def read_pickle(content: bytes) -> Any:
    """The lists, tuples, dictionaries, texts and numbers of a pickle, and in place of its objects `Made`.

    Knows what protocol 2 needs for arrays and plain objects. Raises ValueError, with the reason, for all else. What
    comes out is no larger than the pickle, as each of its instructions makes one thing; but one may lie in many places.
    """
    try:
        return _run(content)
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"it is no whole pickle ({type(error).__name__}: {error})") from error


def _run(content: bytes) -> Any:
    stack: list[Any] = []
    below: list[list[Any]] = []  # the stacks under each mark
    kept: dict[Any, Any] = {}
    for instruction, argument, _ in pickletools.genops(BytesIO(content)):
        match instruction.name:
            case "PROTO":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                below.append(stack)
                stack = []
            case "NONE":
                stack.append(None)
            case "NEWFALSE" | "NEWTRUE":
                stack.append(instruction.name == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "BINUNICODE" | "GLOBAL":
                stack.append(argument)
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(instruction.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "TUPLE" | "APPENDS" | "SETITEMS":
                items, stack = stack, below.pop()
                if instruction.name == "TUPLE":
                    stack.append(tuple(items))
                elif instruction.name == "APPENDS":
                    stack[-1].extend(items)
                else:
                    stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case "APPEND":
                item = stack.pop()
                stack[-1].append(item)
            case "BINPUT" | "LONG_BINPUT":
                kept[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(kept[argument])
            case "REDUCE" | "NEWOBJ":
                arguments = stack.pop()
                stack.append(Made(stack.pop(), arguments))
            case "BUILD":
                state = stack.pop()
                if not isinstance(stack[-1], Made):
                    raise ValueError("it changes what it did not make")
                stack[-1].state = state
            case name:
                raise ValueError(f"it has the instruction {name}, which arrays do not need")
    raise ValueError("it does not end")


def array_in(made: Any) -> np.ndarray:
    """The array of numbers that a pickle would make. Raises ValueError if it would make something else."""
    shape, kind, by_columns, content = _parts(made)
    if kind not in NUMBERS:
        raise ValueError(f"it has an array of {kind!r}; expected one of {', '.join(NUMBERS)}")
    match content:
        case Made("_codecs encode", (str(text), "latin1")):
            return np.frombuffer(text.encode("latin1"), f"<{kind}").reshape(shape, order="F" if by_columns else "C")
    raise ValueError("it has an array without content")


def objects_in(made: Any) -> list[Any]:
    """What is in the array of objects that a pickle would make. Raises ValueError if it would make something else."""
    shape, kind, _, content = _parts(made)
    if kind != "O8" or not isinstance(content, list) or shape != (len(content),):
        raise ValueError("it has no row of objects")
    return content


def _parts(made: Any) -> tuple[tuple[int, ...], str, bool, Any]:
    """Shape, kind of entry, whether it lies column by column, and content of an array."""
    match made:
        case Made(
            "numpy.core.multiarray _reconstruct",
            ("numpy ndarray", _, _),
            (1, tuple(shape), Made("numpy dtype", (str(kind), _, _), (3, "<" | "|", *_)), bool(by_columns), content),
        ) if all(type(length) is int and length >= 0 for length in shape):
            return shape, kind, by_columns, content
    raise ValueError("it has something else where an array is expected")
