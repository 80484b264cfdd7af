"""Builds the documentation site: what the pages in ``docs/`` cannot hold themselves is made here, from its source.

``hooks.py`` is what MkDocs calls. The others make pages and files: ``convert`` from executed notebooks, ``api`` from
docstrings, ``kernels`` from ``cl/``, ``records`` from figures that were measured, ``wasm`` compiles the rules for the
playground, ``assets`` fetches fonts and scripts that the pages use.
"""
