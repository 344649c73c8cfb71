"""The replica engine: trains several seeds of a cell together, each as if it were alone."""
