"""Pooling as Select, Reduce, Connect and Lift; a `Pool` is a composition of the four.

Select decides which nodes form a cluster, Reduce computes a cluster's features, Connect joins the clusters by edges,
Lift takes features of clusters back to nodes (Grattarola et al. 2022, "Understanding pooling in graph neural
networks"). What a Select decides is a `Selection`. A variant of a family differs in its Select and in nothing else.
"""
