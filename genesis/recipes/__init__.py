"""Complete training jobs, small enough to read: what ``genesis train`` runs, and examples to start from.

Each is a module with a ``train`` function that returns a result: :mod:`genesis.recipes.digits` and
:mod:`genesis.recipes.text`.
"""
