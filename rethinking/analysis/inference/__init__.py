"""From differences to verdicts: pure functions on arrays, which know neither runs nor files. See docs/statistics.md."""
