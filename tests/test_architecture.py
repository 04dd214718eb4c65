"""The house keeps its shape: one direction of imports, a pure core, nothing heavy by accident."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "agent"

# A part may import itself, what stands to its left, and nothing else of the agent.
EVERYWHERE = {"backoff", "errors", "picture_file", "supervision"}
MAY_IMPORT = {
    "backoff": set(),
    "errors": set(),
    "supervision": set(),
    "core": set(),
    "picture_file": {"core"},
    "config": {"core"},
    "capture": {"core", "config"},
    "inference": {"core", "config"},
    "delivery": {"core", "config"},
    "service": {"core", "config"},
    "installation": {"core", "config"},
    "web": {"core", "config"},
    "loop": {"core", "config", "capture", "inference", "delivery", "service"},
}
# Above the loop: these may import everything.
TOP = {
    "app", "pipeline", "web_ui", "health", "feedback_publisher", "demo_session", "playback", "recording",
    "diagnostics", "connection_trials", "browser_setup", "browser_teaching", "browser_tuning",
    "teaching", "evaluation", "commands", "cli",
    "__main__",
}  # fmt: skip
HEAVY = {
    "av",
    "cv2",
    "onnxruntime",
    "onnx",
    "tflite",
    "paho",
    "amqtt",
    "systemd",
    "tensorrt",
    "cuda.bindings",
    "pycuda",
    "tomlkit",
    "tree_sitter",
    "tritonclient",
    "starlette",
    "uvicorn",
    "websockets",
    "prometheus_client",
}
PURE_CORE_FORBIDS = HEAVY | {
    "asyncio", "io", "logging", "os", "pathlib", "pydantic", "random", "socket", "sqlite3", "structlog",
    "subprocess", "threading", "time",
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    """Absolute names of all that a module imports, those inside functions and TYPE_CHECKING too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part_of(dotted: str) -> str:
    """`agent.core.types` -> `core`; `agent` itself -> ``."""
    return dotted.split(".")[1] if "." in dotted else ""


def own_part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path):
    part = own_part(path)
    if part in TOP or part == "__init__":
        return
    allowed = MAY_IMPORT[part] | EVERYWHERE | {part, "", "__version__"}
    seen = {part_of(name) for name in imports_of(path) if name.split(".")[0] == "agent"}
    assert seen <= allowed, f"{path.relative_to(ROOT)} ({part}) must not import {sorted(seen - allowed)}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").rglob("*.py")), ids=lambda p: p.name)
def test_the_core_is_pure(path: Path):
    roots = {name.split(".")[0] for name in imports_of(path)}
    assert not roots & PURE_CORE_FORBIDS


@pytest.mark.parametrize("package", ["core", "config", "capture", "inference", "delivery", "service", "web"])
def test_importing_a_package_loads_nothing_heavy(package: str):
    code = f"import sys, agent.{package}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_command_line_starts_light():
    code = f"import sys, agent.cli; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_an_agent_without_a_page_knows_no_web_server():
    code = (
        "import sys, agent.app; print(*(m for m in sys.modules if m.startswith(('agent.web.', 'starlette'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_only_the_command_line_imports_commands():
    above = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        if path.parent.name != "commands"
        and any(name.startswith("agent.commands") for name in imports_of(path))
    }
    assert above <= {"cli.py"}


def test_there_is_one_composition_root():
    builders = {"CameraSupervisor", "Delivery", "build_recognizer", "build_pipeline", "WebPage"}
    for path in modules():
        if own_part(path) in TOP or own_part(path) == "__init__":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert not (calls & builders) - defined, f"{path.relative_to(ROOT)} builds a part; only app.py does"
