"""Writes a GGUF model as transformers saves it: convert_gguf.py MODEL.gguf FOLDER. Its weights become float32."""

import sys
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging


def main():
    logging.disable_progress_bar()
    gguf, folder = Path(sys.argv[1]), sys.argv[2]
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # transformers still takes it for quantised, and does not save such a model.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


if __name__ == "__main__":
    main()
