"""Fonts and scripts of others, taken from the npm registry at build time: pinned, checked, served by the site itself.

They are kept in ``build/npm`` (``GENESIS_SITE_NPM``); with that folder filled, the site builds without a network.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent


class Package(NamedTuple):
    """A package of the npm registry, and which of its files the site serves.

    Attributes:
        version: exactly this one.
        sha512: of the archive, base64, as the registry gives it.
        files: regular expression on paths in the archive -> where they go below ``assets/vendor``.
    """

    version: str
    sha512: str
    files: dict[str, str]


PACKAGES = {
    "katex": Package(
        "0.19.1", "jG8uKntjSEcm2EpQOh0XturpPuuC9r3Sq5HLHdsFdWZT27E672SF19QEi+of0/YeOy15lDgRhKvr5614uRrEfA==",
        {r"dist/(katex\.min\.(?:js|css))": r"katex/\1", r"dist/(fonts/.*\.woff2)": r"katex/\1"}),
    # The plots of plotly.py 7 in the pages: lines, bars, heat maps, contours, histograms, boxes.
    "plotly.js-cartesian-dist-min": Package(
        "4.1.1", "o8GrFeusncwBIxbBynRJpY4pkgVB6caM+JLpwrLYbbsO7dZ8FJ+SVN2Fr+L7kiG/Z6w4P5O0Jus/Qr5EefHVeg==",
        {r".*\.min\.js": "plotly.min.js"}),
    "@fontsource-variable/inter": Package(
        "5.3.0", "OupL48va4JNofb97w6NYeF9S7W/kHNKM0Er8Dem5nqi4jeOLrVJDoE8tZEpnMJmtkvNbB1EIPPwHcdkF6b1oUA==",
        {r"files/(inter-(?:latin|latin-ext|greek)-wght-normal\.woff2)": r"fonts/\1"}),
    "@fontsource-variable/jetbrains-mono": Package(
        "5.3.0", "F32xpS2NsGYoQi2ADSkKTgpJj7ozajsGgDJ8woTnqjmIB+dxDIqImjl4pXZVEExu8UFZ2ndhmX18EBS/hdz3Lw==",
        {r"files/(jetbrains-mono-(?:latin|latin-ext|greek)-wght-normal\.woff2)": r"fonts/\1"}),
    # Lets the search run where pages are opened as files, without a server.
    "iframe-worker": Package(
        "1.0.4", "roeaaI+Lg1LJNfgpCjoRe/+WzEjy9+Z08LoEvu85MCPbBjwm+qXz8Ag5U05lHa6V1CysZyGzE0SOkAtSUA5q7Q==",
        {r"shim/index\.js": "iframe-worker.js"}),
}


class AssetError(RuntimeError):
    """A package could not be fetched, or is not the one that is pinned."""


def _archive(name: str, package: Package, folder: Path) -> Path:
    """The package's archive, from the folder or else from the registry."""
    archive = folder / f"{name.replace('@', '').replace('/', '-')}-{package.version}.tgz"
    if not archive.is_file():
        npm = shutil.which("npm")
        if npm is None:
            raise AssetError(f"{name} {package.version} is needed to build the site, and npm, which fetches it, is not "
                             "installed: install Node.js")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as made:
            done = subprocess.run([npm, "pack", "--silent", f"{name}@{package.version}"], cwd=made, text=True,
                                  capture_output=True, timeout=300)
            found = list(Path(made).glob("*.tgz"))
            if done.returncode or not found:
                raise AssetError(f"npm could not fetch {name} {package.version}:\n{done.stderr}")
            found[0].replace(archive)
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != package.sha512:
        archive.unlink()
        raise AssetError(f"{name} {package.version} has the SHA-512 {digest}, not {package.sha512}")
    return archive


def files() -> dict[str, bytes]:
    """All files that the site serves from its ``assets/vendor``: their path there -> their content."""
    folder = Path(os.environ.get("GENESIS_SITE_NPM") or ROOT / "build" / "npm")
    found: dict[str, bytes] = {}
    for name, package in PACKAGES.items():
        with tarfile.open(_archive(name, package, folder)) as archive:
            for member in archive.getmembers():
                path = member.name.partition("/")[2]          # below "package/"
                for pattern, target in package.files.items():
                    match = re.fullmatch(pattern, path)
                    content = archive.extractfile(member) if match else None
                    if match and content:
                        found[match.expand(target)] = content.read()
    # Fonts that are not served must not be asked for.
    css = found["katex/katex.min.css"].decode()
    found["katex/katex.min.css"] = re.sub(r",url\([^)]*\.(?:woff|ttf)\) format\([^)]*\)", "", css).encode()
    # Source maps are not served either.
    return {path: re.sub(rb"\n//# sourceMappingURL=\S+\s*$", b"\n", content) if path.endswith(".js") else content
            for path, content in found.items()}
