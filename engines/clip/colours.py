"""Skins and hairs of people; linear RGB, 0..1."""

from __future__ import annotations

Colour = tuple[float, float, float]

SKINS: dict[str, Colour] = {
    "pale": (0.60, 0.36, 0.27), "light": (0.50, 0.29, 0.19), "olive": (0.38, 0.22, 0.125),
    "tan": (0.29, 0.15, 0.08), "brown": (0.16, 0.075, 0.04), "dark": (0.075, 0.035, 0.022),
}  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (0.012, 0.009, 0.008),
    (0.035, 0.02, 0.012),
    (0.1, 0.05, 0.025),
    (0.3, 0.19, 0.09),
    (0.35, 0.34, 0.33),
)
