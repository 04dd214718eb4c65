"""Paths of an installed agent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.config.shipped import shipped_folder

UNIT = "gesture-agent.service"
UDEV_RULE = "70-gesture-agent.rules"
KEYS_UDEV_RULE = "71-gesture-agent-keys.rules"


@dataclass(frozen=True, slots=True)
class InstallPaths:
    """Paths of an installed agent under `root`, which differs from / in tests only."""

    root: Path = Path("/")

    @property
    def prefix(self) -> Path:
        """Folder of the virtual environment."""
        return self.root / "opt/gesture-agent"

    @property
    def of_debian(self) -> Path:
        """The virtual environment of the Debian package."""
        return self.root / "usr/lib/gesture-agent"

    @property
    def share(self) -> Path:
        """Data of the installed agent: engines, unit, default settings and rules."""
        return self.prefix / "share/gesture-agent"

    @property
    def command(self) -> Path:
        """Symlink of the command on the PATH."""
        return self.root / "usr/local/bin/gesture-agent"

    @property
    def settings(self) -> Path:
        """The user's settings: config.toml, rules, password."""
        return self.root / "etc/gesture-agent"

    @property
    def unit(self) -> Path:
        """The systemd unit; its drop-in folder is next to it."""
        return self.root / "etc/systemd/system" / UNIT

    def drop_in(self, name: str) -> Path:
        """Path of one of the unit's drop-ins."""
        return self.unit.with_name(f"{UNIT}.d") / name

    @property
    def udev_rule(self) -> Path:
        """Udev rule for access to camera devices."""
        return self.root / "etc/udev/rules.d" / UDEV_RULE

    @property
    def keys_udev_rule(self) -> Path:
        """Udev rule for access to /dev/uinput."""
        return self.udev_rule.with_name(KEYS_UDEV_RULE)

    @property
    def modules(self) -> Path:
        """Kernel modules to load at boot."""
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
        """True on NVIDIA's Linux for Tegra."""
        return (self.root / "etc/nv_tegra_release").exists()

    @property
    def has_nvidia_gpu(self) -> bool:
        """True where an NVIDIA driver is loaded, on a Jetson or a PC."""
        return self.is_jetson or (self.root / "proc/driver/nvidia/version").exists()


def data_root() -> Path:
    """Return the folder of engines/, rules/, systemd/ and config.toml: a checkout or an installed share.

    Raises `CannotStart`.
    """
    return shipped_folder(f"systemd/{UNIT}")
