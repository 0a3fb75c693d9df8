"""What the page serves besides the theme: MathJax, Python for the browser, and the book's own figure modules.

Everything is assembled here from pinned packages (package-lock.json, requirements.txt) into a folder under the build
folder, and from there copied to the book. Nothing of it is committed, and nothing is fetched: `npm ci` was run before.
"""

import hashlib
import io
import shutil
import subprocess
import zipfile
from importlib.util import find_spec
from pathlib import Path

MATHJAX = ("tex-mml-chtml.js", "input/tex/extensions", "output/chtml/fonts/woff-v2")
FONTS = tuple(
    name
    for style in ("400-normal", "400-italic", "600-normal")
    for name in (f"latin-{style.removesuffix('-normal')}.css", f"files/source-serif-4-latin-{style}.woff2")
)
PYODIDE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
PACKS = {"sympy.zip": ("sympy", "mpmath"), "claims.zip": ("derivable/__init__.py", "derivable/claims")}


def assemble(root: Path, folder: Path) -> list[str]:
    """Bring the folder up to date with the packages; return what is missing, in words for the author."""
    _figures(root / "src" / "derivable", folder / "figures")
    modules = root / "node_modules"
    if not all((modules / name).is_dir() for name in ("mathjax", "pyodide", "@fontsource")):
        return ["formulas (they show as TeX), its fonts and live cells: run `npm ci`, which needs Node"]
    _copy(modules / "mathjax" / "es5", MATHJAX, folder / "mathjax")
    _copy(modules / "@fontsource" / "source-serif-4", FONTS, folder / "fonts")
    if not shutil.which("node"):
        return ["live cells: their Python is compiled by Node"]
    _copy(modules / "pyodide", PYODIDE, folder / "pyodide")
    for name, sources in PACKS.items():
        _pack(sources, folder / "python" / name, root)
    return []


def _copy(source: Path, names: tuple[str, ...], target: Path) -> None:
    for name in names:
        for file in [source / name] if (source / name).is_file() else (source / name).rglob("*.*"):
            copy = target / file.relative_to(source)
            if not copy.exists() or copy.stat().st_mtime_ns != file.stat().st_mtime_ns:
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, copy)


def _figures(package: Path, target: Path) -> None:
    names = [str(file.relative_to(package)) for file in package.glob("*/*.js")]
    _copy(package, ("figures.js", *names), target)


def _pack(names: tuple[str, ...], pack: Path, root: Path) -> None:
    """Compile these packages or files, as installed here, for the Python of the page, unless nothing changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            top, *rest = name.split("/")
            package = Path(find_spec(top).origin).parent
            path = package.joinpath(*rest)
            for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
                inside = file.relative_to(package.parent)
                if not {"tests", "benchmarks"} & set(inside.parts):
                    archive.writestr(zipfile.ZipInfo(str(inside)), file.read_bytes())
    key = hashlib.sha256(buffer.getvalue() + (root / "package-lock.json").read_bytes()).hexdigest()
    stamp = pack.with_suffix(".sha256")
    if pack.exists() and stamp.exists() and stamp.read_text() == key:
        return
    pack.parent.mkdir(parents=True, exist_ok=True)
    sources = pack.with_suffix(".sources")
    sources.write_bytes(buffer.getvalue())
    subprocess.run(["node", root / "book" / "_ext" / "pack.mjs", sources, pack], check=True, capture_output=True)
    sources.unlink()
    stamp.write_text(key)
