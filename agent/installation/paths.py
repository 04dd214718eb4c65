"""Where an installed agent keeps its parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.config.shipped import shipped_folder

UNIT = "gesture-agent.service"
UDEV_RULE = "70-gesture-agent.rules"
KEYS_UDEV_RULE = "71-gesture-agent-keys.rules"


@dataclass(frozen=True, slots=True)
class InstallPaths:
    """Under `root`, which is another folder than / in tests only."""

    root: Path = Path("/")

    @property
    def prefix(self) -> Path:
        """The virtual environment."""
        return self.root / "opt/gesture-agent"

    @property
    def of_debian(self) -> Path:
        """The virtual environment of the Debian package."""
        return self.root / "usr/lib/gesture-agent"

    @property
    def share(self) -> Path:
        """Data of the installed agent: engines, unit, the settings and rules to begin with."""
        return self.prefix / "share/gesture-agent"

    @property
    def command(self) -> Path:
        """The link that shells find."""
        return self.root / "usr/local/bin/gesture-agent"

    @property
    def settings(self) -> Path:
        """The user's own: config.toml, rules, password."""
        return self.root / "etc/gesture-agent"

    @property
    def unit(self) -> Path:
        """The unit; beside it the folder of its drop-ins."""
        return self.root / "etc/systemd/system" / UNIT

    def drop_in(self, name: str) -> Path:
        """One of the unit's drop-ins."""
        return self.unit.with_name(f"{UNIT}.d") / name

    @property
    def udev_rule(self) -> Path:
        """Rights of the cameras' devices."""
        return self.root / "etc/udev/rules.d" / UDEV_RULE

    @property
    def keys_udev_rule(self) -> Path:
        """Rights of /dev/uinput."""
        return self.udev_rule.with_name(KEYS_UDEV_RULE)

    @property
    def modules(self) -> Path:
        """Kernel modules to load with the machine."""
        return self.root / "etc/modules-load.d/gesture-agent.conf"

    @property
    def cache(self) -> Path:
        """CacheDirectory of the unit."""
        return self.root / "var/cache/gesture-agent"

    @property
    def state(self) -> Path:
        """StateDirectory of the unit."""
        return self.root / "var/lib/gesture-agent"

    @property
    def is_jetson(self) -> bool:
        """NVIDIA's Linux for Tegra."""
        return (self.root / "etc/nv_tegra_release").exists()

    @property
    def has_nvidia_gpu(self) -> bool:
        """A driver of NVIDIA's runs here: a Jetson's, or a PC's."""
        return self.is_jetson or (self.root / "proc/driver/nvidia/version").exists()


def data_root() -> Path:
    """The folder with engines/, rules/, systemd/, config.toml: a checkout, or an installed agent's share.

    Raises `CannotStart`.
    """
    return shipped_folder(f"systemd/{UNIT}")
