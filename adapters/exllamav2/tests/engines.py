"""The real generators of ExLlamaV2 and ExLlamaV3 over the toy model."""

import json
from pathlib import Path
from types import SimpleNamespace

import stand_ins

stand_ins.install()

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

import toy  # noqa: E402

LAYERS, HEADS, DIM = 2, 2, 64


def model_folder(folder, seed=1):
    """A folder with the files of a model: configuration, weights, tokenizer. The toy's only weight is its seed."""
    folder = Path(folder)
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "layers": LAYERS}))
        (folder / "tokenizer.json").write_text(json.dumps({"vocabulary": toy.VOCABULARY}))
        save_file({"seed": torch.tensor([seed])}, str(folder / "model.safetensors"))
    return folder


class Model2:
    """As much of `ExLlamaV2` as its generator and caches ask for."""

    def __init__(self, folder, seed):
        self.toy = toy.Toy(seed)
        self.config = SimpleNamespace(
            model_dir=str(folder), vocab_size=toy.VOCABULARY, max_seq_len=8192, max_input_len=2048, max_batch_size=1,
            no_flash_attn=False, num_key_value_heads=HEADS, num_hidden_layers=LAYERS, head_dim=DIM,
            rotary_embedding_base=10000.0, arch=SimpleNamespace(lm=SimpleNamespace(mrope=False)))
        self.cache_map = {layer: "cpu" for layer in range(LAYERS)}
        self.loras = []

    def get_cache_devices(self):
        return ["cpu"]

    def forward_chunk(self, input_ids, attn_params, cache, preprocess_only=False, loras=None, **_):
        tensors = [tensor.view(tensor.shape[1], -1) for tensor in cache.all_tensors()]
        shift = sum(int(lora.lora_scaling * 8) for lora in loras or [])
        self.toy._seed += shift
        logits = torch.stack([
            self.toy.forward(ids.tolist(), int(attn_params.cache_seqlens[row]), attn_params.block_index[row], tensors)
            for row, ids in enumerate(input_ids)])
        self.toy._seed -= shift
        return {} if preprocess_only else {"logits": logits}


def generator2(folder, cache="ExLlamaV2Cache", pages=32, seed=1, draft_seed=None, rope=10000.0, **options):
    """An `ExLlamaV2DynamicGenerator` in paged mode."""
    import exllamav2
    import exllamav2.attn
    from exllamav2.generator import ExLlamaV2DynamicGenerator, ExLlamaV2Sampler

    # Paged attention needs flash-attn; the toy needs none.
    exllamav2.attn.has_flash_attn_with_paged = True
    ExLlamaV2Sampler.sample = staticmethod(
        lambda logits, *_, **__: (logits[:, -1, :].argmax(-1, keepdim=True), None, None, torch.ones((1, 1)), False))
    kind = getattr(exllamav2, cache)
    model = Model2(model_folder(folder, seed), seed)
    model.config.rotary_embedding_base = rope
    if draft_seed is not None:
        draft = Model2(model_folder(f"{folder}-draft-{draft_seed}", draft_seed), draft_seed)
        options.update(draft_model=draft, draft_cache=kind(draft, max_seq_len=pages * 256), num_draft_tokens=3)
    options.setdefault("max_batch_size", 4)
    return ExLlamaV2DynamicGenerator(
        model=model, cache=kind(model, max_seq_len=pages * 256), tokenizer=toy.Tokenizer(), **options)


def job2(ids, count):
    from exllamav2.generator import ExLlamaV2DynamicJob

    return ExLlamaV2DynamicJob(input_ids=torch.tensor([ids]), max_new_tokens=count)


class Model3:
    """As much of ExLlamaV3's `Model` as its generator and caches ask for."""

    recurrent_state_cls = None
    loaded_tp = False
    output_device = torch.device("cpu")

    def __init__(self, folder, seed):
        self.toy = toy.Toy(seed)
        self.caps = {}
        self.config = SimpleNamespace(
            directory=str(folder), vocab_size=toy.VOCABULARY, config_dict={"rope_theta": 10000.0},
            infer_params=SimpleNamespace())
        self.cache_weakrefs = {}
        self.modules = [
            SimpleNamespace(
                num_kv_heads=HEADS, head_dim=DIM, layer_idx=layer, key=f"layers.{layer}", cache_layers=[], device=None)
            for layer in range(LAYERS)]

    def get_cache_layers(self):
        return self.modules

    def get_recurrent_layers(self):
        return []

    def get_layer_instances(self, index):
        return [(index, 0)]

    def prefetch_tokens(self, _):
        pass

    def forward(self, input_ids, params):
        tensors = [tensor.view(-1, tensor[0, 0].numel()) for tensor in params["cache"].get_all_tensors()]
        return torch.stack([
            self.toy.forward(ids.tolist(), int(params["cache_seqlens"][row]), params["block_table"][row], tensors)
            for row, ids in enumerate(input_ids)])

    prefill = forward


def generator3(folder, cache="CacheLayer_fp16", pages=32, seed=1, bits=None, **options):
    """A `Generator` of ExLlamaV3."""
    import exllamav3
    import exllamav3.cache as kinds

    model = Model3(model_folder(folder, seed), seed)
    made = kinds.Cache(model, max_num_tokens=pages * 256, layer_type=getattr(kinds, cache), **(bits or {}))
    for layer in made.layers.values():
        layer.alloc("cpu")
    made.initialized = True
    options.setdefault("max_batch_size", 4)
    return exllamav3.Generator(model=model, cache=made, tokenizer=toy.Tokenizer(), **options)


def job3(ids, count):
    from exllamav3.generator.job import Job
    from exllamav3.generator.sampler.sampler import Sampler

    class Greedy(Sampler):
        def forward(self, logits, *_, **__):
            return logits[:, -1, :].argmax(-1, keepdim=True)

    return Job(input_ids=torch.tensor([ids]), max_new_tokens=count, sampler=Greedy())


def serve(generator, jobs):
    """Runs jobs to their end. Per job the reply, and how many tokens the engine says that it had."""
    generator.enqueue(jobs)
    replies, cached = {id(job): [] for job in jobs}, {}
    while generator.num_remaining_jobs():
        for result in generator.iterate():
            if result.get("stage") == "error":
                raise result["error"]
            if "token_ids" in result:
                replies[id(result["job"])] += result["token_ids"][0].tolist()
            if result["eos"]:
                cached[id(result["job"])] = result["cached_tokens"]
    return [(replies[id(job)], cached[id(job)]) for job in jobs]
