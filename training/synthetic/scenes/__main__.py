"""Measures false activations and misses of the daemon's pipeline on hours of rendered people.

python -m training.synthetic.scenes measure --kind idle --parts 0:40           no intended gestures
python -m training.synthetic.scenes measure --kind gestures --parts 0:20       all five, repeatedly
python -m training.synthetic.scenes report                                     results
python -m training.synthetic.scenes report --pictures starts.png               hands of false activations
python -m training.synthetic.scenes look --kind idle --part 3 --at 41.2        frames around a time
python -m training.synthetic.scenes clip --kind idle --part 3 --out part.mp4   a part as a video
python -m training.synthetic.scenes sheet                                      the image of the README

The cast (people, rooms) is made first, once: python -m training.synthetic.scenes.characters. A finished
part is not measured again; two processes share the work as --parts 0:40:2 and --parts 1:40:2.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from training.synthetic.scenes.scene import Film

FOLDER = Path(".cache/idle")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.synthetic.scenes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cast", type=Path, default=FOLDER, help="people and rooms (default: %(default)s)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, "measure", _measure, "scenes through the chain, a trace each")
    _kind(run)
    run.add_argument(
        "--parts", default="0:20", help="scenes by seed: FROM:TO[:STEP] or one (default: %(default)s)"
    )
    _film(run)
    run.add_argument("--minutes", type=float, default=math.inf, help="begin no part after so long")
    run.add_argument(
        "--out", type=Path, default=FOLDER / "traces", help="folder of the traces (default: %(default)s)"
    )
    told = _command(commands, "report", _report, "false activations, misses, what was found")
    told.add_argument(
        "--out", type=Path, default=FOLDER / "traces", help="folder of the traces (default: %(default)s)"
    )
    told.add_argument("--pictures", type=Path, help="a picture with the hands of false starts, to look at")
    told.add_argument("--json", action="store_true", help="one JSON document, for programs")
    look = _command(commands, "look", _look, "the pictures around a moment, side by side")
    _one(look, "look.png")
    look.add_argument("--at", type=float, required=True, help="seconds from the start of the part")
    clip = _command(commands, "clip", _clip, "a part as a video, to watch")
    _one(clip, "part.mp4")
    sheet = _command(commands, "sheet", _sheet, "an overview: many scenes, one picture each")
    sheet.add_argument("--out", type=Path, default=Path(__file__).with_name("contact_sheet.webp"))
    options = parser.parse_args()
    options.run(options)


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


def _kind(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=("idle", "gestures"), default="idle")


def _film(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=120.0, help="of each scene (default: %(default)s)")
    parser.add_argument("--fps", type=float, default=10.0, help="frames a second (default: %(default)s)")
    parser.add_argument(
        "--size",
        type=_size,
        default="1280x720",
        help="px of the pictures, 4:3 or wider (default: %(default)s)",
    )


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is no width and height, such as 1280x720') from None
    return width, height


def _filmed(o: argparse.Namespace) -> Film:
    return Film(o.seconds, o.fps, o.size)


def _one(parser: argparse.ArgumentParser, out: str) -> None:
    _kind(parser)
    parser.add_argument("--part", type=int, default=0, help="the seed of the scene (default: %(default)s)")
    _film(parser)
    parser.add_argument("--out", type=Path, default=Path(out), help="picture or video (default: %(default)s)")


def _measure(o: argparse.Namespace) -> None:
    from training.synthetic.scenes.measure import measure

    stop_at = time.monotonic() + 60 * o.minutes
    measure(o.cast, o.out, o.kind, _range(o.parts), _filmed(o), stop_at)


def _range(text: str) -> range:
    numbers = [int(part) for part in text.split(":")]
    return range(numbers[0], numbers[0] + 1) if len(numbers) == 1 else range(*numbers)


def _report(o: argparse.Namespace) -> None:
    from training.synthetic.scenes.report import of_gestures, of_idle, parts

    idle, meant = of_idle(o.cast, o.out), of_gestures(o.cast, o.out)
    if o.pictures:
        from training.synthetic.scenes.show import of_starts

        films = {seed: Film.of(facts) for seed, _, facts in parts(o.out, "idle")}
        of_starts(o.cast, "idle", films, idle["starts"], o.pictures)
    if o.json:
        print(json.dumps({"idle": idle, "gestures": meant}, default=_plain, indent=1))
        return
    low, high = idle["interval"]
    print(f"idle: {idle['hours']:.2f} h in {idle['parts']} scenes, {idle['person_hours']:.2f} h of people")
    print(f"  {idle['false']} false starts, {idle['per_hour']:.2f} an hour (95 %: {low:.2f} to {high:.2f})")
    print(f"  {dict(idle['by_gesture'])}")
    for name, minutes in idle["minutes_by_activity"]:
        print(f"  {name:10} {minutes:7.1f} min  {idle['by_activity'][name]} false")
    for s in idle["starts"]:
        print(f"  {_told(s)} while {s.activity}, at {s.x_share:.2f} {s.y_share:.2f}")
    _print_found(idle)
    _print_meant(meant)


def _print_meant(meant: dict[str, Any]) -> None:
    low, high = meant["missed_interval"]
    print(f"gestures: {meant['meant']} meant in {meant['parts']} scenes")
    print(
        f"  {meant['missed']} missed (95 %: {low:.1%} to {high:.1%}), {len(meant['wrong'])} wrong or doubled"
    )
    print(f"  {len(meant['false'])} false between them; delay {meant['delay_s']} s (median)")
    for name, (hit, of) in {**meant["by_gesture"], **meant["by_distance"]}.items():
        print(f"  {name:12} {hit} of {of}")
    for m in meant["misses"]:
        middle = (m.start + m.end) / 2
        print(
            f"  missed: --kind gestures --part {m.part} --at {middle:.1f}   {m.gesture} at {m.metres:.1f} m"
        )
    for s, shown in meant["wrong"]:
        print(f"  wrong: {_told(s, 'gestures')} while {shown}")
    for s in meant["false"]:
        print(f"  false: {_told(s, 'gestures')} while {s.activity}")
    _print_found(meant)


def _told(s: Any, kind: str = "idle") -> str:
    """A false activation as an argument of `look`."""
    return f"--kind {kind} --part {s.part} --at {s.at:.1f}   {s.gesture} {s.score:.2f}"


def _print_found(facts: dict[str, Any]) -> None:
    for name, (found, of) in {
        **facts["found"],
        **{f"{k} named": v for k, v in facts["named"].items()},
    }.items():
        if of:
            print(f"  {name}: {found} of {of} ({found / of:.1%})")


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def _look(o: argparse.Namespace) -> None:
    from training.synthetic.scenes.show import around

    around(o.cast, o.kind, o.part, o.at, o.out, _filmed(o))


def _clip(o: argparse.Namespace) -> None:
    from training.synthetic.scenes.show import clip

    clip(o.cast, o.kind, o.part, o.out, _filmed(o))


def _sheet(o: argparse.Namespace) -> None:
    from training.synthetic.scenes.show import sheet

    sheet(o.cast, o.out)


if __name__ == "__main__":
    main()
