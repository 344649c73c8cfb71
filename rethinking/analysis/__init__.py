"""From runs to answers: tidy data frames, statistics, tables."""
