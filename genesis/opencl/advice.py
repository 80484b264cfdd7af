"""What to install or to set where a device is missing, from what can be seen of this machine."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

_CARDS = Path("/sys/class/drm")                       # where Linux lists graphics cards, with or without OpenCL
_NODES = Path("/dev/dri")                             # what a driver opens to compute on them
_RUSTICL = Path("/etc/OpenCL/vendors/rusticl.icd")
_VENDORS = {"0x1002": "AMD", "0x8086": "Intel", "0x10de": "NVIDIA"}
_PACKAGES = {
    "AMD": "rocm-opencl-icd or mesa-opencl-icd (Debian, Ubuntu), mesa-libOpenCL (Fedora), or AMD's driver",
    "Intel": "intel-opencl-icd (Debian, Ubuntu) or intel-compute-runtime (Fedora)",
    "NVIDIA": "its driver, and on Debian nvidia-opencl-icd beside it",
}
_MESA_NAMES = {"AMD": "radeonsi", "Intel": "iris"}    # for rusticl, Mesa's driver, which is off until it is named


def graphics_cards() -> list[str]:
    """The vendors of this machine's graphics cards, as Linux lists them; empty where it does not tell."""
    numbers = []
    for path in sorted(_CARDS.glob("card*/device/vendor")):
        try:
            numbers.append(path.read_text().strip())
        except OSError:
            continue
    return list(dict.fromkeys(_VENDORS[number] for number in numbers if number in _VENDORS))


def gpu_message() -> str:
    """What a GPU needs on this system to be found, in one line or several."""
    if sys.platform == "darwin":
        return "GPU: macOS brings the driver with it; there is nothing to install"
    if sys.platform != "linux":
        return "GPU: install its vendor's graphics driver (AMD, Intel or NVIDIA), which includes OpenCL"
    cards = graphics_cards()
    lines = [f"{vendor} GPU: install {_PACKAGES[vendor]}" for vendor in cards or _PACKAGES]
    if cards:
        lines.insert(0, f"this machine has a graphics card of {' and one of '.join(cards)}")
    named = [_MESA_NAMES[vendor] for vendor in cards or _MESA_NAMES if vendor in _MESA_NAMES]
    if named and _RUSTICL.exists() and not os.environ.get("RUSTICL_ENABLE"):
        lines.append(f"Mesa's driver rusticl is installed but off: set RUSTICL_ENABLE={' or '.join(named)}")
    nodes = sorted(_NODES.glob("renderD*"))
    if nodes and not any(os.access(node, os.R_OK | os.W_OK) for node in nodes):
        lines.append(f"this user may not open {nodes[0]}: sudo usermod -aG render,video $USER, and log in again")
    return "\n  ".join(lines)


def no_device_message() -> str:
    """What to do on this system to get an OpenCL device."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return "macOS brings OpenCL with it; its absence means that the system's OpenCL framework was removed"
    if machine in ("x86_64", "amd64"):
        cpu = 'pip install "genesis-cl[cpu]"   (runs on any x86-64 CPU)'
    elif sys.platform == "linux":
        cpu = "apt install pocl-opencl-icd   (Debian, Ubuntu), or: dnf install pocl   (Fedora)"
    else:
        cpu = "install PoCL, https://portablecl.org"
    return f"CPU: {cpu}\n  {gpu_message()}"
