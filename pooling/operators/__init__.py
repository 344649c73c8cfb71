"""Pooling operators of elsewhere, as ordinary modules of one replica: PyG's, torch-geometric-pool's, anybody's."""
