"""What was left out of an answer, told beside it."""

import sys
from collections.abc import Sequence


def tell(sentences: Sequence[str]) -> None:
    """Sentences on what is damaged, where the output itself has no place for them."""
    for sentence in sentences:
        print(f"rethinking: {sentence}", file=sys.stderr)
