"""Pooling as Select, Reduce, Connect: one file an operator.

Select decides which nodes form a cluster, Reduce computes a cluster's features, Connect joins
the clusters by edges (Grattarola et al. 2022, "Understanding pooling in graph neural networks").
A variant of a family differs in its Select and in nothing else.
"""
