"""Short-time Fourier transforms."""

from __future__ import annotations

import warnings
from typing import Any

from .complex_numbers import view_as_complex, view_as_real
from .creation import ones
from .fft import fft, ifft, irfft, rfft
from .nn.functional import fold, pad
from .tensor import Tensor


def _window(name: str, x: Tensor, n_fft: int, win_length: int | None, window: Tensor | None) -> Tensor:
    """The window in the middle of ``n_fft`` elements; without one, ones."""
    length = n_fft if win_length is None else win_length
    if not 0 < length <= n_fft:
        raise RuntimeError(f"{name}() needs 0 < win_length <= n_fft = {n_fft}, not {length}")
    if window is None:
        window = ones(length, dtype=x.dtype.to_real(), device=x.device)
    elif window.ndim != 1 or len(window) != length:
        raise RuntimeError(f"{name}() needs a window of {length} elements, not of shape {tuple(window.shape)}")
    before = (n_fft - length) // 2
    return window if length == n_fft else pad(window, (before, n_fft - length - before))


def _hop(name: str, n_fft: int, hop_length: int | None) -> int:
    hop = n_fft // 4 if hop_length is None else hop_length
    if hop < 1:
        raise RuntimeError(f"{name}() needs a hop_length of at least 1, not {hop}")
    return hop


def stft(input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
         window: Tensor | None = None, center: bool = True, pad_mode: str = "reflect", normalized: bool = False,
         onesided: bool | None = None, return_complex: bool | None = None) -> Tensor:
    """The short-time Fourier transform: that of overlapping, windowed pieces of a signal.

    Args:
        input: (L,) or (B, L), real or complex.
        n_fft: length of the pieces.
        hop_length: distance of their beginnings; by default ``n_fft // 4``.
        win_length: length of the window, which lies in the middle of a piece; by default ``n_fft``.
        window: (win_length,); by default ones. See `genesis.hann_window` and its kin.
        center: fill up both ends by ``n_fft // 2`` elements, so that piece t is centred at ``t * hop_length``.
        pad_mode: how, as in `genesis.nn.functional.pad`.
        normalized: divide by the square root of ``n_fft``.
        onesided: give only the ``n_fft // 2 + 1`` frequencies that are not conjugates of others; by default for real
            signals and windows.
        return_complex: must be given for a real signal: True for a complex result, False for (..., 2) real numbers.

    Returns:
        (frequencies, pieces) or (B, frequencies, pieces).

    Raises:
        RuntimeError: an argument is out of range, the window does not fit, or ``return_complex`` is missing.

    Example:
        >>> genesis.stft(genesis.ones(8), 4, center=False, return_complex=True).abs()[:, 0]
        tensor([4., 0., 0.])
    """
    if input.ndim not in (1, 2):
        raise RuntimeError(f"stft() needs a signal (L,) or (B, L), not of shape {tuple(input.shape)}")
    hop = _hop("stft", n_fft, hop_length)
    if n_fft < 1:
        raise RuntimeError(f"stft() needs an n_fft of at least 1, not {n_fft}")
    window = _window("stft", input, n_fft, win_length, window)
    whole = input.is_complex() or window.is_complex()
    if return_complex is None and not whole:
        raise RuntimeError("stft() needs return_complex=True (or False, for pairs of real numbers) for a real signal")
    if onesided and whole:
        raise RuntimeError("stft() cannot give one side only of a complex signal's or window's transform")
    x = input if input.ndim == 2 else input.unsqueeze(0)
    if center:
        x = pad(x.unsqueeze(1), (n_fft // 2, n_fft // 2), mode=pad_mode).squeeze(1)
    if n_fft > x._array.shape[1]:
        raise RuntimeError(f"stft() needs 0 < n_fft <= {x._array.shape[1]}, the signal's length, not {n_fft}")
    pieces = x.unfold(1, n_fft, hop) * window
    norm = "ortho" if normalized else None
    one_side = not whole if onesided is None else onesided
    y = (rfft(pieces, norm=norm) if one_side else fft(pieces, norm=norm)).transpose(1, 2)
    y = y if input.ndim == 2 else y.squeeze(0)
    return view_as_real(y) if return_complex is False else y


def istft(input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
          window: Tensor | None = None, center: bool = True, normalized: bool = False, onesided: bool | None = None,
          length: int | None = None, return_complex: bool = False) -> Tensor:
    """The signal of which `stft` gives a transform; of any other, the nearest by least squares.

    Overlapping pieces are multiplied by the window, added, and divided by the sum of the windows' squares (Griffin and
    Lim 1984, "Signal estimation from modified short-time Fourier transform").

    Args:
        input: complex (frequencies, pieces) or (B, frequencies, pieces).
        n_fft, hop_length, win_length, window, center, normalized, onesided: as `stft` had them.
        length: of the signal; by default what the pieces cover, without what ``center`` added.
        return_complex: give a complex signal, from all frequencies, as a complex window needs.

    Raises:
        RuntimeError: shapes do not fit, an argument is out of range, or the windows leave out an element.

    Example:
        >>> x = genesis.arange(16.0)
        >>> window = genesis.hann_window(8)
        >>> y = genesis.stft(x, 8, window=window, return_complex=True)
        >>> genesis.istft(y, 8, window=window).allclose(x, atol=1e-5)
        True
    """
    if not input.is_complex():
        raise RuntimeError(f"istft() needs a complex tensor, not one of {input.dtype}; view_as_complex() makes one")
    if input.ndim not in (2, 3) or not input.numel():
        raise RuntimeError(f"istft() needs (frequencies, pieces) or a batch of these, not {tuple(input.shape)}")
    hop = _hop("istft", n_fft, hop_length)
    window = _window("istft", input, n_fft, win_length, window)
    frequencies = input.shape[-2]
    one_side = frequencies != n_fft if onesided is None else onesided
    if frequencies != (n_fft // 2 + 1 if one_side else n_fft):
        raise RuntimeError(f"istft() needs {n_fft // 2 + 1 if one_side else n_fft} frequencies for n_fft = {n_fft}, "
                           f"not {frequencies}")
    if return_complex and one_side:
        raise RuntimeError("istft() makes a complex signal of all frequencies only; give onesided=False")
    x = (input if input.ndim == 3 else input.unsqueeze(0)).transpose(1, 2)
    norm = "ortho" if normalized else None
    if return_complex:
        pieces = ifft(x, norm=norm) * window
    elif window.is_complex():
        raise RuntimeError("istft() makes a complex signal of what a complex window gave; give return_complex=True")
    else:                       # the other side of a real signal's transform says nothing new
        pieces = irfft(x[..., :n_fft // 2 + 1], n_fft, norm=norm) * window
    count = pieces.shape[1]
    covered = n_fft + hop * (count - 1)

    def added(z: Tensor) -> Tensor:
        """(B, pieces, n_fft) laid over one another."""
        if z.is_complex():
            return view_as_complex(added(view_as_real(z).movedim(-1, 0).flatten(0, 1)).reshape(
                2, -1, covered).movedim(0, -1).contiguous())
        return fold(z.transpose(1, 2), (1, covered), (1, n_fft), stride=(1, hop)).reshape(-1, covered)

    squares: Any = (window * window).expand(1, count, n_fft)      # not of absolute values: pieces had the window once
    start = n_fft // 2 if center else 0
    end = min(covered, covered - start if length is None else start + length)
    weight = added(squares)[:, start:end]
    if not bool(weight.abs().min() > 1e-11):
        raise RuntimeError("istft(): the windows leave out an element of the signal; choose a smaller hop_length, a "
                           "window without zeros, or center=True")
    y = added(pieces)[:, start:end] / weight
    if length is not None and length > end - start:
        warnings.warn(f"istft(): the pieces cover {end - start} elements of {length}; zeros follow them", UserWarning,
                      stacklevel=2)
        y = pad(y, (0, length - (end - start)))
    return y if input.ndim == 3 else y.squeeze(0)


__all__ = ["istft", "stft"]
