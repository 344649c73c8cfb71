"""What a pooling operator keeps of a graph: features, structure, what tells it from others, who is near whom."""
