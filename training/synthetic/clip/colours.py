"""Colours of skin, hair and clothes; linear RGB, 0..1."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Look:
    """Colours and cut of a person's look; linear RGB."""

    skin: Colour = (0.47, 0.26, 0.17)
    hair: Colour = (0.035, 0.02, 0.012)
    hair_length_m: float = 0.04
    iris: Colour = (0.09, 0.045, 0.02)
    shirt: Colour = (0.045, 0.13, 0.22)
    sleeve: float = 0.94  # share of the arm covered by the sleeve, 0.5 to the elbow, 0.94 to the wrist
    trousers: Colour = (0.03, 0.032, 0.04)
    seed: int = 1
