"""The structure of graphs, and sums over it: topology, levels of coarsening, segment operations."""
