"""Random fields with a given smoothness: the raw material of terrain, land cover, clouds and weather.

Spectral synthesis after Saupe (1988), "Algorithms for random fractals", in Peitgen & Saupe (eds.),
The Science of Fractal Images: white noise is filtered in the frequency domain. Fields are periodic.
"""

from __future__ import annotations

import functools

import numpy as np


def power_law_field(
    rng: np.random.Generator, shape: tuple[int, int], exponent: float, longest: float = np.inf
) -> np.ndarray:
    """A field (row, column), float32, mean 0 and standard deviation 1, with power ~ k ** -exponent.

    `exponent`: 0 white, about 2 rough, 4 smooth. `longest`: wavelength in pixels above which the
    spectrum is flat, which sets the size of the patches.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    field = np.fft.irfft2(np.fft.rfft2(white) * _power_law(shape, exponent, longest), s=shape)
    return ((field - field.mean()) / field.std()).astype(np.float32)


@functools.cache
def _power_law(shape: tuple[int, int], exponent: float, longest: float) -> np.ndarray:
    k = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    k[0, 0] = np.inf
    flat_below = max(1.0 / longest, 1.0 / max(shape))
    gain = np.maximum(k, flat_below) ** (-exponent / 2)
    gain[0, 0] = 0.0
    return gain.astype(np.float32)


def red_noise(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> np.ndarray:
    """Series along the last axis, mean 0 and standard deviation 1, that forget over `memory` steps.

    The spectrum 1 / (1 + (2 pi f memory)^2) is that of a first-order autoregressive process.
    """
    white = rng.standard_normal(shape)
    frequency = np.fft.rfftfreq(shape[-1])
    gain = 1.0 / np.hypot(1.0, 2 * np.pi * frequency * memory)
    gain[0] = 0.0
    series = np.fft.irfft(np.fft.rfft(white) * gain, n=shape[-1])
    return series / series.std(axis=-1, keepdims=True)


def block_mean(array: np.ndarray, size: int) -> np.ndarray:
    """Means of `size` x `size` blocks over the last two axes, which must be multiples of it."""
    *lead, rows, columns = array.shape
    blocks = array.reshape(*lead, rows // size, size, columns // size, size)
    return blocks.mean(axis=(-3, -1), dtype=np.float32)
