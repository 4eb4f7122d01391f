"""Trains and saves a classifier on a corpus with untrusted labels and compares it with baselines; used by recipes/."""

from hf_noisy.commands.arguments import RecipeArguments
from hf_noisy.recipe.base import Recipe, RecipeTrainingArguments, setting
from hf_noisy.recipe.data import Data, gather
from hf_noisy.recipe.table import Table

__all__ = ["Data", "Recipe", "RecipeArguments", "RecipeTrainingArguments", "Table", "gather", "setting"]
