"""Train the demo checkpoint: a small Llama, on the CPU, for a given time.

usage: train.py WORKDIR OUTDIR --minutes M [--resume]

WORKDIR is prepare.py's. Every few minutes, and at the end, OUTDIR gets config.json,
generation_config.json, model.safetensors (bf16) and tokenizer.json, and WORKDIR gets
state-*.pt (to resume) and log.jsonl. Exports on the way hold a running average of
the weights, so that each is usable; the last holds the weights themselves, the learning
rate having come down to nearly nothing. The rate follows the clock, not the step count.
"""
import argparse, json, math, os, shutil, socket, time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

VOCAB, WIDTH, LAYERS, HEADS, KV_HEADS, HEAD, INNER, CONTEXT = 4096, 256, 6, 4, 2, 64, 704, 2560
THETA, EPS, BOS = 10000.0, 1e-5, 0
SHORT, LONG = (4, 512), (1, CONTEXT)    # sequences, tokens each, in each of two workers
LONG_EVERY = 8                          # one step in eight is long; one in two at the end
PEAK = 3e-3
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCAB, "hidden_size": WIDTH,
    "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS, "head_dim": HEAD, "hidden_act": "silu", "rms_norm_eps": EPS,
    "rope_theta": THETA, "rope_scaling": None, "max_position_embeddings": CONTEXT, "tie_word_embeddings": True,
    "attention_bias": False, "mlp_bias": False, "bos_token_id": 0, "eos_token_id": 1,
    "torch_dtype": "bfloat16", "use_cache": True,
}


def linear(a, b):
    return nn.Linear(a, b, bias=False)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj = linear(WIDTH, HEADS * HEAD), linear(WIDTH, KV_HEADS * HEAD)
        self.v_proj, self.o_proj = linear(WIDTH, KV_HEADS * HEAD), linear(HEADS * HEAD, WIDTH)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        q, k, v = (p(x).view(b, t, -1, HEAD).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))

        def rope(z):
            return z * cos + torch.cat((-z[..., HEAD // 2:], z[..., :HEAD // 2]), -1) * sin
        k, v = (z.repeat_interleave(HEADS // KV_HEADS, 1) for z in (rope(k), v))
        y = F.scaled_dot_product_attention(rope(q), k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = linear(WIDTH, INNER), linear(WIDTH, INNER), linear(INNER, WIDTH)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn, self.mlp = Attention(), MLP()
        self.input_layernorm, self.post_attention_layernorm = nn.RMSNorm(WIDTH, EPS), nn.RMSNorm(WIDTH, EPS)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(nn.Module):
    """Names as in transformers' LlamaForCausalLM, less the leading `model.`."""

    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCAB, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(WIDTH, EPS)
        f = THETA ** -(torch.arange(0, HEAD, 2) / HEAD)
        a = (torch.arange(CONTEXT)[:, None] * f).repeat(1, 2)
        self.register_buffer("cos", a.cos(), persistent=False)
        self.register_buffer("sin", a.sin(), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if "o_proj" in name or "down_proj" in name else 0.02)

    def forward(self, ids, targets):
        x, t = self.embed_tokens(ids), ids.shape[1]
        for layer in self.layers:
            x = layer(x, self.cos[:t], self.sin[:t])
        logits = F.linear(self.norm(x), self.embed_tokens.weight)
        return F.cross_entropy(logits.view(-1, VOCAB), targets.reshape(-1), ignore_index=-1, reduction="mean")


def batch(rng, part, shape):
    """Random windows of the part, each beginning with <|bos|>."""
    n, t = shape
    rows = []
    for _ in range(n):
        at = rng.integers(0, len(part) - t - 1)
        rows.append(part[at:at + t + 1].astype(np.int64))
    x = torch.from_numpy(np.stack(rows))
    y = x[:, 1:].clone()
    y[y == BOS] = -1
    x = x[:, :-1].clone()
    x[:, 0] = BOS
    return x, y


@torch.no_grad()
def held_out(model, ids, size, n_bytes):
    """Loss per token and bits per byte, in consecutive windows of `size` tokens."""
    total = count = 0
    for at in range(0, len(ids) - 1, size):
        w = torch.from_numpy(ids[at:at + size + 1].astype(np.int64))[None]
        x, y = w[:, :-1], w[:, 1:].clone()
        y[y == BOS] = -1
        n = int((y >= 0).sum())
        total, count = total + float(model(x, y)) * n, count + n
    return total / count, total / math.log(2) / n_bytes


def export(model, work, out):
    os.makedirs(out, exist_ok=True)
    tensors = {f"model.{k}": v.to(torch.bfloat16).contiguous() for k, v in model.state_dict().items()}
    save_file(tensors, f"{out}/model.safetensors.new", metadata={"format": "pt"})
    os.chmod(f"{out}/model.safetensors.new", 0o644)
    os.replace(f"{out}/model.safetensors.new", f"{out}/model.safetensors")
    shutil.copyfile(f"{work}/tokenizer.json", f"{out}/tokenizer.json")
    for name, content in (("config", CONFIG), ("generation_config", {"bos_token_id": 0, "eos_token_id": 1})):
        with open(f"{out}/{name}.json", "w") as f:
            f.write(json.dumps(content, indent=2) + "\n")


def flat(tensors):
    return torch.cat([t.reshape(-1) for t in tensors])


def unflat(vector, tensors):
    for t, v in zip(tensors, vector.split([t.numel() for t in tensors])):
        t.copy_(v.view_as(t))


def work(rank, a, parts, port):
    """One of the two single-threaded workers. Each draws its batches from one part of the text; gradients are
    averaged once a step, and each worker applies Muon to half of the matrices and sends the result to the other."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(1)
    model, average = Model(), Model()
    average.load_state_dict(model.state_dict())
    params, averages = list(model.parameters()), list(average.parameters())
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
    shares = [matrices[0::2], matrices[1::2]]
    optimizers = [torch.optim.Muon(shares[rank], weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
                  torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0, fused=True)]
    step = tokens = 0
    spent = 0.0
    if a.resume:
        s = torch.load(f"{a.work}/state-{rank}.pt")
        model.load_state_dict(s["model"]), average.load_state_dict(s["average"])
        for o, d in zip(optimizers, s["optimizers"]):
            o.load_state_dict(d)
        step, tokens, spent = s["step"], s["tokens"], s["spent"]
    rng = np.random.default_rng(2 * step + rank)
    fast = torch.compile(model, dynamic=False)
    if rank == 0:
        held = np.fromfile(f"{a.work}/held.bin", np.uint16)
        held_bytes = sum(len(json.loads(line)["text"].encode()) for line in open(f"{a.work}/held.jsonl"))
        log = open(f"{a.work}/log.jsonl", "a")
        print(f"{sum(p.numel() for p in params)} parameters", flush=True)
    last, saved, recent = time.time(), spent, []
    while True:
        now = time.time()
        clock = torch.tensor([spent + now - last], dtype=torch.float64)
        dist.broadcast(clock, 0)            # worker 0's clock rules
        last, spent = now, clock.item()
        progress = spent / (a.minutes * 60)
        if progress >= 1 or spent - saved >= a.export_every * 60:
            saved = spent
            torch.save({"model": model.state_dict(), "average": average.state_dict(), "step": step, "tokens": tokens,
                        "spent": spent, "optimizers": [o.state_dict() for o in optimizers]}, f"{a.work}/state-{rank}.pt")
            if rank == 0:
                best = model if progress >= 1 else average
                export(best, a.work, a.out)
                loss, bits = held_out(best, held, 2048, held_bytes)
                row = {"step": step, "tokens": tokens, "minutes": round(spent / 60, 1),
                       "train": round(float(np.mean(recent[-100:])), 3), "held": round(loss, 4), "bits_per_byte": round(bits, 4)}
                print(json.dumps(row), file=log, flush=True)
                print("exported", row, flush=True)
            if progress >= 1:
                return
        rate = PEAK * min(1, (step + 1) / 100) * min(1, max(0.02, (1 - progress) / 0.5))
        for o in optimizers:
            for g in o.param_groups:
                g["lr"] = rate
        every = LONG_EVERY if progress < 0.85 else 2
        x, y = batch(rng, parts[rank], LONG if step % every == every - 1 else SHORT)
        loss = fast(x, y)
        loss.backward()
        grads = flat([p.grad for p in params] + [loss.detach()])
        dist.all_reduce(grads)
        grads /= 2
        unflat(grads[:-1], [p.grad for p in params])
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        for o in optimizers:
            o.step()
        with torch.no_grad():
            for owner, share in enumerate(shares):
                v = flat(share)
                dist.broadcast(v, owner)
                if owner != rank:
                    unflat(v, share)
        model.zero_grad()
        torch._foreach_lerp_([p.data for p in averages], [p.data for p in params], max(0.01, 1 / (step + 1)))
        step, tokens = step + 1, tokens + 2 * x.numel()
        recent.append(grads[-1].item())
        if rank == 0 and step % 20 == 0:
            print(f"step {step} tokens {tokens} minutes {spent / 60:.1f} rate {rate:.5f} loss {np.mean(recent[-20:]):.3f}", flush=True)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("work"), a.add_argument("out"), a.add_argument("--minutes", type=float, required=True)
    a.add_argument("--export-every", type=float, default=5, help="minutes")
    a.add_argument("--resume", action="store_true")
    a = a.parse_args()
    parts = [np.fromfile(f"{a.work}/{n}.bin", np.uint16) for n in ("bible", "manuals")]
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    torch.multiprocessing.spawn(work, (a, parts, port), nprocs=2)


if __name__ == "__main__":
    main()
