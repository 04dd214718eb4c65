"""Key presses through the kernel's uinput. Off unless `actions.keys` enables them."""

from __future__ import annotations

from agent.errors import CannotStart

try:
    from evdev import UInput, ecodes
except ImportError as exc:
    raise CannotStart(
        f"actions.keys needs the package evdev ({exc}); pip install 'gesture-agent[keys]' or apt install "
        "python3-evdev, or set it to false"
    ) from exc


class Keyboard:
    """A virtual keyboard on /dev/uinput; `close` removes it."""

    def __init__(self) -> None:
        """Create the device. Raises `CannotStart` when /dev/uinput cannot be opened."""
        codes = [
            code for name, code in ecodes.ecodes.items() if name.startswith("KEY_") and code < ecodes.KEY_MAX
        ]
        try:
            self._device = UInput({ecodes.EV_KEY: sorted(set(codes))}, name="gesture-agent")
        except OSError as exc:
            raise CannotStart(
                f"actions.keys: /dev/uinput cannot be opened ({exc}); "
                "`gesture-agent service install --keys` lets the service use it; by hand: load the module "
                "uinput, let this user write to the device (systemd/71-gesture-agent-keys.rules)"
            ) from exc

    def press(self, keys: str) -> None:
        """Press and release one key or a chord: `KEY_VOLUMEUP`, `KEY_LEFTCTRL+KEY_W`.

        Raises `ValueError` for a name that the kernel does not know.
        """
        codes = [_code(name.strip()) for name in keys.split("+")]
        for code, value in [(code, 1) for code in codes] + [(code, 0) for code in reversed(codes)]:
            self._device.write(ecodes.EV_KEY, code, value)
        self._device.syn()

    def close(self) -> None:
        """Remove the virtual keyboard."""
        self._device.close()


def _code(name: str) -> int:
    code = ecodes.ecodes.get(name)
    if not name.startswith("KEY_") or not isinstance(code, int):
        raise ValueError(f'no key is called "{name}"; names are those of input-event-codes.h, like KEY_ENTER')
    return code
