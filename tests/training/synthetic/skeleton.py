"""A stick person with the bones that training/synthetic knows by name; one vertex a fingertip."""

from __future__ import annotations

import numpy as np

from training.synthetic.clip.body import Body
from training.synthetic.scenes.rig import Rig

_SPINE = ["root", "spine05", "spine03", "spine01"]


def stick_body() -> Body:
    """Arms 45 degrees down, as anny's people rest."""
    bones: list[str] = []
    parents: list[int] = []
    heads: list[tuple[float, float, float]] = []

    def add(name: str, parent: str | None, at: tuple[float, float, float]) -> None:
        parents.append(bones.index(parent) if parent else -1)
        bones.append(name)
        heads.append(at)

    for k, name in enumerate(_SPINE):
        add(name, _SPINE[k - 1] if k else None, (0, 0, 0.95 + 0.15 * k))
    add("neck02", "spine01", (0, 0, 1.48))
    add("head", "neck02", (0, 0, 1.55))
    tips: list[tuple[str, tuple[float, float, float]]] = []
    for side, sign in (("L", 1.0), ("R", -1.0)):
        add(f"eye.{side}", "head", (0.03 * sign, -0.1, 1.63))
        add(f"upperleg01.{side}", "root", (0.1 * sign, 0, 0.9))
        add(f"lowerleg01.{side}", f"upperleg01.{side}", (0.12 * sign, 0, 0.5))
        chain = ["clavicle", "shoulder01", "upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist"]
        along = [0.02, 0.08, 0.17, 0.27, 0.37, 0.5, 0.62]
        before = "spine01"
        for name, x in zip(chain, along, strict=True):
            down = max(0.0, x - 0.17)
            bend = 0.02 if "lower" in name else 0.0  # the elbow is a little behind: it can bend one way
            add(f"{name}.{side}", before, (sign * (min(x, 0.17) + 0.7 * down), bend, 1.42 - 0.7 * down))
            before = f"{name}.{side}"
        wrist = np.array(heads[-1])
        way = np.array([0.7 * sign, 0.0, -0.7])
        for number in range(1, 6):
            base = wrist + way * (0.03 if number == 1 else 0.09) + np.array([0, 0.02 * (number - 3), 0])
            before = f"wrist.{side}"
            for k in (1, 2, 3):
                lean = np.array([0.002 * k * sign, 0.004 * (number - 3) * k, -0.004 * k * k])
                at = base + way * 0.03 * (k - 1) + lean
                add(f"finger{number}-{k}.{side}", before, tuple(at))
                before = f"finger{number}-{k}.{side}"
            tips.append((before, tuple(base + way * 0.09 + np.array([0, 0, -0.03]))))
    vertices = np.array([at for _, at in tips], float)
    weights = np.zeros((len(tips), len(bones)))
    weights[np.arange(len(tips)), [bones.index(name) for name, _ in tips]] = 1.0
    return Body(
        vertices, np.zeros((0, 4), int), np.zeros((0, 4, 2)), np.zeros(0, "<U8"),
        tuple(bones), tuple(parents), np.array(heads, float), weights,
    )  # fmt: skip


def stick_rig(body: Body) -> Rig:
    """The same bones, for many moments at once."""
    tips = np.array([[body.tip(f"finger{k}-3.{side}") for k in range(1, 6)] for side in ("R", "L")])
    return Rig(list(body.bones), np.array(body.parents), body.heads, tips)
