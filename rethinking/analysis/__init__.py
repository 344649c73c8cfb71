"""From runs to answers: tidy data frames, statistics, verdicts, tables, figures, the report."""
