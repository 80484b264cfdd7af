"""What a tuner has found out about a device, kept in the cache folder between processes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import cache

if TYPE_CHECKING:
    from .device import Device


def path(device: Device) -> Path:
    """The file that holds a device's results; another version of its driver has another."""
    about = "\0".join((device.platform, device.platform_version, device.name, device.driver))
    return cache.folder() / "tuning" / f"{hashlib.sha256(about.encode()).hexdigest()[:16]}.json"


def _all(device: Device) -> dict[str, Any]:
    try:
        found = json.loads(path(device).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def load(device: Device, name: str) -> dict[str, Any] | None:
    """What was stored under a name; None when nothing was, or the file was damaged."""
    found = _all(device).get(name)
    return found if isinstance(found, dict) else None


def store(device: Device, name: str, values: dict[str, Any] | None) -> bool:
    """Store values under a name, or forget them if None; False when the cache folder cannot be written."""
    results = _all(device)
    results.pop(name, None)
    if values is not None:
        results[name] = values
    return cache.write(path(device), json.dumps(results, indent=1).encode())
