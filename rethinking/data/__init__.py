"""From raw files to batches: sources → GraphDataset (flat arrays) → Split per seed → Batch [R, …]."""
