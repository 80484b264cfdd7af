"""How far a job is: a bar where tqdm is installed, else a line now and then."""

from __future__ import annotations

import shutil
import sys
from types import TracebackType
from typing import Any

_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class Progress:
    """Shows the progress of a job on standard error while its ``with`` block runs.

    Args:
        total: how often `advance` will be called.
        label: what stands before the bar.
        quiet: True shows nothing.
    """

    def __init__(self, total: int, label: str, quiet: bool = False):
        self._label, self._total, self._quiet = label, total, quiet
        self._done = 0
        self._bar: Any = None
        if not quiet:
            try:
                from tqdm import tqdm
            except ImportError:
                return
            # A file or a pipe keeps every state of the bar, so it gets few.
            pause = 0.1 if sys.stderr.isatty() else 1.0
            size = shutil.get_terminal_size()      # 80 by 24 where there is no terminal, or it has no size
            self._bar = tqdm(total=total, desc=label, mininterval=pause, ncols=size.columns - 1, nrows=size.lines,
                             bar_format=_FORMAT)

    def advance(self) -> None:
        """Count one step."""
        self._done += 1
        if self._bar is not None:
            self._bar.update()

    def note(self, place: str, figures: str) -> None:
        """Show the latest figures.

        Args:
            place: where the job is, ``"epoch 3/20"``; the bar shows that itself.
            figures: ``"loss 0.0312, test accuracy 0.9722"``.
        """
        if self._bar is not None:
            self._bar.set_postfix_str(figures, refresh=self._done == self._total)
        elif not self._quiet:
            print(f"{self._label}, {place}: {figures}", file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
