"""The violations that `tools/tidy --self-test` plants: a check that finds none of them would be no check.

Each canary is a file that breaks one rule; it is written into a temporary tree that is otherwise clean. The tree must
be found clean without it and red with it, at the right path, and every rule must have a canary.
"""

import tempfile
from pathlib import Path

CLEAN = {
    "Sources/Store/HotTier/PagePool.swift": (
        "// The page pool.\n\ninternal import KVFormat\npublic import struct Glibc.timespec\n\n"
        "/* A Task, a try! and \"print(\" in a comment are words. */\n"
        "func text() -> String { \"fatalError( \\(name(\"x\")) try!\" }\n"
        "protocol Pool {\n    func evict()\n    func pin() -> Int\n}\n" + "\n" * 80 + "let mutex = Mutex()\n"),
    "Sources/Store/LMDB/Environment.swift": (
        "// LMDB.\ninternal import CLMDB\nprivate let handle: OpaquePointer = mdb_env_create()\n"
        "    package var last: Int32 { MDB_LAST }\n"),
    "Tests/StoreTestKit/Seed.swift": "// Seeds.\nprint(\"PFX_SEED=1\")\n",
    "Sources/Faces/pfx/Info.swift": "// The command.\nimport Foundation\nfunc run() async { print(\"x\") }\n",
    "Sources/Ground/CHash/chash.c": "// Hashes.\nstatic int quote(char c) {\n    return c == '\"' || c == '{';\n}\n",
    "Sources/Engine/LlamaEngine/Long.swift": "// Longer than 400 lines because it is a table.\n" + "let a = 1\n" * 410,
    "Tests/PfxTests/Scripts.swift": "// Not ASCII because it tests other scripts.\nlet a = \"\u00e4\"\n",
    "docs/sound.md": "See [the script](../tools/script), [this](#here), [that](https://www.swift.org/a.md).\n",
    "tools/script": "#!/usr/bin/env bash\n# A script.\ntrue\n",
}


def swift(body):
    return "// A file.\n\n" + body + "\n"


# (rule, path, text, words of the finding)
FILE_CANARIES = [
    ("try!", "Tests/HotTierTests/A.swift", swift("let a = try! f()"), "try!"),
    ("fatalError", "Sources/Faces/pfx/A.swift", swift("fatalError (\"no\")"), "precondition"),
    ("print", "Sources/Store/PrefixStore/A.swift", swift("    print(1)"), "only programs print"),
    ("print", "Sources/Engine/LlamaEngine/A.swift", swift("debugPrint(1)"), "only programs print"),
    ("LMDB's C API", "Sources/Store/ColdTier/A.swift", swift("mdb_env_sync(e, 1)"), "only module LMDB"),
    ("LMDB's C API", "Sources/Ground/CHash/a.c", "// C.\n#include <lmdb.h>\n", "only module LMDB"),
    ("C pointer in LMDB's face", "Sources/Store/LMDB/A.swift", swift("    package var raw: OpaquePointer { p }"), "private"),
    ("Swift concurrency", "Sources/Store/ColdTier/A.swift", swift("func f() async {}"), "pthreads"),
    ("Swift concurrency", "Sources/Store/HotTier/A.swift", swift("Task { f() }"), "pthreads"),
    ("Swift concurrency", "Sources/Store/PrefixStore/A.swift", swift("public actor Store {}"), "pthreads"),
    ("Synchronization.Mutex", "Sources/Store/HotTier/A.swift", swift("let a = Mutex<Int>(0)"), "Threads.Mutex"),
    ("Synchronization.Mutex", "Sources/Store/HotTier/B.swift", swift("let a = Mutex(Set<Int>())"), "Threads.Mutex"),
    ("code from data", "Sources/Engine/LlamaEngine/a.py", "# Python.\nweights = torch.load(path)\n", "never code"),
    ("code from data", "Sources/Engine/LlamaEngine/b.py", "# Python.\nimport pickle\n", "never code"),
    ("leftover", "Sources/Faces/pfx/A.swift", swift("// TO" + "DO: later"), "write an issue"),
    ("leftover", "tools/b.py", "# FIX" + "ME\n", "write an issue"),
    ("non-ASCII", "Sources/Faces/pfx/A.swift", swift("let a = \"\u00e4\""), "escape"),
    ("parameter list", "Sources/Values/KVFormat/A.swift", swift("/// - name: what"), "indent"),
    ("workplace path", "docs/a.md", "See /ro" + "ot/models.\n", "relative path"),
    ("workplace path", "Tests/PfxTests/A.swift", swift("let a = \"/wo" + "rk/x\""), "relative path"),
    ("leading comment", "Sources/Values/KVFormat/A.swift", "let a = 1\n// late\n", "leading comment"),
    ("leading comment", "tools/other", "#!/bin/sh\ntrue\n", "leading comment"),
    ("file length", "Tests/PfxTests/A.swift", swift("let a = 1\n" * 400), "split the file"),
    ("function length", "Sources/Faces/pfx/A.swift",
     swift("    public static func long(\n        a: Int\n    ) -> Int {\n" + "        f { g() }\n" * 70 + "    }"),
     "'long' has"),
    ("function length", "Sources/Ground/CHash/a.c", "// C.\nstatic int long_one(int a) {\n" + "    a++;\n" * 70 + "}\n",
     "'long_one' has"),
    ("columns", "Sources/Faces/pfx/A.swift", swift("let a = 1  // " + "word " * 22), "wrap the line"),
    ("columns", "tools/b.py", '"""B."""\n# ' + "word " * 24 + "\n", "wrap the line"),
    ("columns", "Sources/Ground/CHash/a.h", "// C.\nint " + "a" * 118 + ";\n", "wrap the line"),
    ("dead link", "docs/a.md", "See [b](b.md).\n", "dead link 'b.md'"),
    ("import", "Sources/Store/HotTier/A.swift", swift("package import ColdTier"), "must not import ColdTier"),
    ("import", "Sources/Store/ColdTier/A.swift", swift("@testable import HotTier"), "must not import HotTier"),
    ("import", "Sources/Faces/pfx/A.swift", swift("import struct KVFormat.PrefixHash"), "must not import KVFormat"),
    ("import", "Sources/Values/KVFormat/A.swift", swift("import Foundation"), "must not import Foundation"),
    ("import", "Sources/Values/Threads/A.swift", swift("private import Dispatch"), "must not import Dispatch"),
]


def package(**dependencies):
    """What `swift package dump-package` says, in the parts that tidy reads."""
    return {"targets": [
        {"name": name, "type": "regular", "dependencies": [{"byName": [other, None]} for other in others]}
        for name, others in dependencies.items()]}


PACKAGE_CANARIES = [
    (package(HotTier=["KVFormat", "ColdTier"]), "HotTier must not depend on ColdTier"),
    (package(LlamaEngine=["HotTier"]), "LlamaEngine must not depend on HotTier"),
    (package(Unheard=[]), "Unheard is not on the map"),
]


# What the checks of tools/tidy_repository.py find nothing in; every arrow of ARROWS is used, by Swift or by C.
REPOSITORY = {
    "Sources/Values/KVFormat/Hash.swift": (
        "// Hashes.\ninternal import CHash\npackage struct Digest {\n    package let bytes: Int\n"
        "    package var description: String { \"\" }\n}\npackage func digest() -> Digest { one() }\n"),
    "Sources/Store/HotTier/Pool.swift": "// The pool.\nimport KVFormat\nlet all = digest().bytes\n",
    "Sources/Ground/CHash/chash.c": (
        "// Hashes.\n#include <openssl/evp.h>\nint chash_one(void) { return 1; }\nstatic int two(void) { return 2; }\n"
        "int (*chash_two)(void) = two;\n"),
    "Sources/Ground/CHash/include/chash.h": "// Hashes.\nint chash_one(void);\n",
    "Sources/Ground/CCrypto/shim.h": "// libcrypto.\n#include <openssl/sha.h>\n",
    "Tests/KVFormatTests/HashTests.swift": "import KVFormat\nlet b = onlyTested()\n",
}
REPOSITORY_ARROWS = {"KVFormat": {"CHash"}, "HotTier": {"KVFormat"}, "CHash": {"CCrypto"}, "Absent": {"KVFormat"}}
# (check, path, text, words of the finding)
REPOSITORY_CANARIES = [
    ("unused arrow", "Sources/Store/HotTier/Pool.swift", "// The pool.\n// import KVFormat\n", "from HotTier to KVFormat"),
    ("unused arrow", "Sources/Ground/CHash/chash.c", "// C.\n", "from CHash to CCrypto"),
    ("unused package symbol", "Sources/Store/HotTier/A.swift", "// A.\nimport KVFormat\npackage func alone() {}\n", "'alone'"),
    ("unused package symbol", "Sources/Values/KVFormat/A.swift",
     "// A.\nstruct A {\n    @inlinable\n    package static func alone(_ d: Digest) -> Int { 1 }\n}\nlet x = A.alone(d)\n",
     "'alone'"),
    ("C prefix", "Sources/Ground/CHash/a.c", "// C.\nint hash_one(void) { return 1; }\n", "'hash_one'"),
    ("C prefix", "Sources/Ground/CHash/a.c", "// C.\nint table[3] = {1};\n", "'table'"),
]


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


def repository_faults(check):
    """What is wrong with the checks of all files together."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, text in REPOSITORY.items():
            write(root, path, text)
        yield from (f"the clean repository has a finding: {found}" for found in check(root, REPOSITORY_ARROWS))
        for name, path, text, words in REPOSITORY_CANARIES:
            write(root, path, text)
            if not [message for _, _, message in check(root, REPOSITORY_ARROWS) if words in message]:
                yield f"{name}: planted in {path}, expected '{words}'"
            (root / path).unlink()
            if path in REPOSITORY:
                write(root, path, REPOSITORY[path])


def self_test(findings, repository_findings, rules):
    """Returns the exit status: 0 when the clean tree is clean and every canary is found where it sits."""
    sound, wrong = package(HotTier=["KVFormat"], PrefixStore=["HotTier", "ColdTier"]), []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, text in CLEAN.items():
            write(root, path, text)
        wrong += [f"the clean tree has a finding: {found}" for found in findings(root, sound)]
        for rule, path, text, words in FILE_CANARIES:
            write(root, path, text)
            found = list(findings(root, sound))
            if [place for place, _, message in found if words in message] != [path]:
                wrong.append(f"{rule}: planted in {path}, expected '{words}' there, found {found}")
            (root / path).unlink()
        for planted, words in PACKAGE_CANARIES:
            if [message for _, _, message in findings(root, planted) if words in message] == []:
                wrong.append(f"arrows: expected '{words}'")
    wrong += repository_faults(repository_findings)
    wrong += [f"rule '{rule}' has no canary" for rule in rules if rule not in {canary[0] for canary in FILE_CANARIES}]
    for line in wrong:
        print(f"tidy self-test: {line}")
    planted = len(FILE_CANARIES) + len(PACKAGE_CANARIES) + len(REPOSITORY_CANARIES)
    print(f"tidy self-test: {planted} violations planted, {len(wrong)} wrong")
    return 1 if wrong else 0
