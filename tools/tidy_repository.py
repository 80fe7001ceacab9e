"""What `tools/tidy` checks of all files together: arrows that nobody uses, `package` symbols that nobody uses, and the
names of C symbols.

Every check takes the files as a dictionary from path to text and yields findings as (path, line, message).
"""

import re
import subprocess
import tempfile
from pathlib import Path

SWIFT_IMPORT = re.compile(
    r"^[ \t]*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|private|fileprivate)\s+)?import\s+"
    r"(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)", re.M)
C_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
MODIFIERS = (
    r"(?:static|final|class|mutating|consuming|borrowing|nonisolated|override|indirect|lazy|weak)"
    r"(?:\([^)]*\))?")
PACKAGE_SYMBOL = re.compile(
    r"^[ \t]*(?:@\w+(?:\([^)]*\))?\s+)*package\s+(?:private\(set\)\s+)?(?:" + MODIFIERS + r"\s+)*"
    r"(?:func|var|let|class|struct|enum|protocol|typealias)\s+(\w+)", re.M)
# From the modifier to where the body, the value or the next declaration begins: what a caller in another module has to
# see.
SIGNATURE = re.compile(
    r"\b(?:package|public)\b[^{]*?"
    r"(?=[{]|\n\s*(?:\n|@|\}|(?:package|public|private|static|func|var|let|case|init)\b)|\Z)")
# Requirements of the standard library's protocols are used without their names.
WITNESSES = {"description", "debugDescription", "hash", "encode", "makeIterator", "next"}


def imports_of(module, files, module_of):
    """The names that the Swift files of a module import, and the headers that its C files include."""
    swift, headers = set(), set()
    for path, text in files.items():
        if module_of(path) != module:
            continue
        if path.endswith(".swift"):
            swift |= set(SWIFT_IMPORT.findall(text))
        elif path.endswith((".c", ".h")):
            headers |= set(C_INCLUDE.findall(text))
    return swift, headers


def headers_of(module, files, module_of):
    """The headers that stand for a C module: its own public ones, and those of a system library that its shim names."""
    found = set()
    for path, text in files.items():
        if module_of(path) == module and path.endswith(".h"):
            found.add(path.rsplit("/", 1)[1])
            if path.endswith("/shim.h"):
                # A library's headers are in one folder, or are one.
                found |= {name.split("/")[0] for name in C_INCLUDE.findall(text)}
    return found


def unused_arrows(files, arrows, module_of):
    """Arrows of the map that no file of the module uses."""
    present = {module_of(path) for path in files} - {None}
    for module in sorted(present & set(arrows)):
        swift, headers = imports_of(module, files, module_of)
        for other in sorted(arrows[module] - swift):
            theirs = headers_of(other, files, module_of)
            if not any(name in theirs or name.split("/")[0] in theirs for name in headers):
                yield "tools/tidy", 1, f"the arrow from {module} to {other} is not used by any file: remove it"


def unused_package_symbols(files, module_of, code_of):
    """`package` symbols of the sources whose name appears in no other module, in no tests and in no benchmark."""
    code = {path: code_of(path, text) for path, text in files.items() if path.endswith(".swift") and "/" in path}
    users, signatures = {}, {}
    for path, text in code.items():
        # Tests count as users, those of the module as well.
        user = module_of(path) or path.split("/")[1]
        for name in set(re.findall(r"\w+", text)):
            users.setdefault(name, set()).add(user)
        for signature in SIGNATURE.findall(text):
            for name in set(re.findall(r"\w+", signature)):
                signatures[user, name] = signatures.get((user, name), 0) + 1
    for path, text in code.items():
        module = module_of(path)
        if not path.startswith("Sources/") or module is None:
            continue
        for match in PACKAGE_SYMBOL.finditer(text):
            name = match[1]
            # What the signature of another `package` symbol names must be as visible as that one.
            if name in WITNESSES or users[name] - {module} or signatures.get((module, name), 0) > 1:
                continue
            line = text.count("\n", 0, match.start(1)) + 1
            yield path, line, f"'{name}' is not used by any other module: make it internal or private, or delete it"


def unprefixed_symbols(root, files, module_of):
    """External C symbols that do not begin with their module's name: they could clash with another library's in one program."""
    modules = sorted({module_of(path) for path in files if path.startswith("Sources/") and path.endswith(".c")})
    include = sorted({f"-I{root / path.rsplit('/', 1)[0]}" for path in files if "/include/" in path})
    with tempfile.TemporaryDirectory() as folder:
        for module in modules:
            for path in sorted(path for path in files if module_of(path) == module and path.endswith(".c")):
                made = Path(folder) / "one.o"
                subprocess.run(["clang", "-w", *include, "-c", root / path, "-o", made], check=True)
                names = subprocess.run(
                    ["llvm-nm", "--extern-only", "--defined-only", "--format=just-symbols", made], check=True,
                    capture_output=True, text=True).stdout.split()
                for name in names:
                    if not name.startswith(module.lower() + "_"):
                        yield path, 1, f"the symbol '{name}' lacks its module's prefix '{module.lower()}_'"
