// node pack.mjs SOURCES.zip PACK.zip: compile Python sources with the very Python that will run them in the page,
// which otherwise compiles SymPy at each visit, and that takes longer than everything else together.

import { readFileSync, writeFileSync } from "node:fs";
import { loadPyodide } from "pyodide";

const [sources, pack] = process.argv.slice(2);
const pyodide = await loadPyodide();
pyodide.unpackArchive(new Uint8Array(readFileSync(sources)), "zip", { extractDir: "/sources" });
pyodide.runPython(`
import pathlib, py_compile, warnings, zipfile

warnings.simplefilter("ignore")
root = pathlib.Path("/sources")
with zipfile.ZipFile("/pack.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as pack:
    for source in sorted(root.rglob("*.py")):
        name = source.relative_to(root)
        py_compile.compile(
            str(source), cfile="/compiled.pyc", dfile=str(name), doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        pack.write("/compiled.pyc", name.with_suffix(".pyc"))
`);
writeFileSync(pack, pyodide.FS.readFile("/pack.zip"));
