"""Complete training jobs, small enough to read: what ``genesis train`` runs, and examples to start from.

Each is a module with a ``train`` function that returns a result: `genesis.recipes.digits` and
`genesis.recipes.text`.
"""
