"""Does my graph pooling really matter? A benchmark harness for local against non-local pooling."""

__version__ = "0.1.0"
