"""The operators of Grattarola et al. 2022 ("Understanding pooling in graph neural networks"), as its code has them.

Where that differs from the operators' own publications or from other libraries, their docstrings say so.
"""
