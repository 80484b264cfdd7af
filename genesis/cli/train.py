"""``genesis train``: runs a recipe."""

from __future__ import annotations

import argparse
from typing import Any

from ..optim import OPTIMIZERS

# Recipe -> what it trains, its optimizer, epochs and batch size; the recipes themselves are imported when they run.
RECIPES = {"digits": ("a small network to read handwritten digits", "adam", 30, 64),
           "text": ("a small transformer to write Python, character by character", "adamw", 1, 8)}


def add_parser(commands: Any) -> None:
    """Add the command and its recipes."""
    parser = commands.add_parser("train", help="train a model", description="Train a model and say how good it is.")
    recipes = parser.add_subparsers(dest="recipe", required=True, metavar="recipe")
    for name, (what, usual, epochs, batch_size) in RECIPES.items():
        recipe = recipes.add_parser(name, help=what, description=f"Train {what}.")
        recipe.add_argument("--optimizer", choices=list(OPTIMIZERS), default=usual, help="default: %(default)s")
        recipe.add_argument("--lr", type=float, metavar="RATE", help="learning rate; default: one that suits")
        recipe.add_argument("--epochs", type=int, metavar="N",
                            help=f"how often to go through the data; default: {epochs}")
        recipe.add_argument("--batch-size", type=int, metavar="N",
                            help=f"samples a step; default: {batch_size}")
        recipe.add_argument("--seed", type=int, default=0, metavar="N",
                            help="of everything random; the same seed gives the same result; default: 0")
        recipe.add_argument("--device", metavar="NAME",
                            help="gpu, cpu, gpu:1, or a part of a name that `genesis devices` shows")
        recipe.add_argument("--out", default=f"runs/{name}", metavar="FOLDER",
                            help="where checkpoint and learning curves go; default: %(default)s")
        recipe.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the recipe."""
    settings = {name: getattr(arguments, name)
                for name in ("optimizer", "lr", "epochs", "batch_size", "seed", "device", "out")}
    given = {name: value for name, value in settings.items() if value is not None}
    if arguments.recipe == "digits":
        from ..recipes import digits

        digits.train(**given)
    else:
        from ..recipes import text

        text.train(**given)
    return 0
