"""Says which packages an adapter needs, when one of them is missing."""

from __future__ import annotations

from typing import Dict, Optional

#: Packages that are called otherwise than their modules.
_PACKAGES: Dict[str, str] = {"llama_cpp": "llama-cpp-python"}
#: What an engine brings itself, so that no extra of this package names it.
_OF_ENGINES = ("llama_cpp", "torch")


def missing(problem: ImportError, adapter: str, extra: Optional[str]) -> ImportError:
    """An error that names the package and the line to type, in place of one that names a module.

    `extra`: what the packages of an adapter are called in `pip install "prefixstore[...]"`. An error of another kind,
    such as a package that is there and does not load, is given back as it is.
    """
    module = (problem.name or "").partition(".")[0]
    if not isinstance(problem, ModuleNotFoundError) or not module or module == "prefixstore":
        return problem
    package = _PACKAGES.get(module, module)
    line = f'"prefixstore[{extra}]"' if extra and module not in _OF_ENGINES else package
    return ModuleNotFoundError(
        f"prefixstore.adapters.{adapter} needs the package {package}, which is not installed here. Install it: "
        f"pip install {line}", name=problem.name)
