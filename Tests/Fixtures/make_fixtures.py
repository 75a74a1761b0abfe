"""Writes tiny-gpt2 and tiny-llama beside this file: what two tiny transformers compute, from first principles in
PyTorch (float64 autograd, rounded to float32 at the end).

Usage: python make_fixtures.py     (needs torch and safetensors)

NAME.safetensors holds
    the weights under their Hugging Face names (GPT-2's linear layers [in, out], as published checkpoints have them),
    inputs and targets (B, T) int32, a target of -1 meaning none,
    logits0 (T, V), the logits of the first sequence,
    grad.NAME, the gradient of the mean loss over the tokens that have a target,
    after10.NAME, the weights after ten AdamW steps on the same batch, gradients clipped to norm 1.
NAME.json holds the sizes in Hugging Face's words, the loss, and the curves of loss and gradient norm.

The models are written out here rather than taken from a library, so that each side checks the other: the gpt2 one has
no biases and an untied head, the llama one a tied head, grouped queries, and sizes that are no multiples of 16.
"""
import json, math, pathlib
import torch
from torch.nn.functional import cross_entropy, gelu, layer_norm, silu
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent


def attention(q, k, v):
    """q (B, H, T, D), k and v (B, K, T, D) with H a multiple of K. Returns (B, T, H * D)."""
    B, H, T, D = q.shape
    k, v = (t.repeat_interleave(H // t.shape[1], dim=1) for t in (k, v))
    scores = (q @ k.transpose(2, 3) / math.sqrt(D)).masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, H * D)


def heads(x, count):
    B, T, width = x.shape
    return x.view(B, T, count, width // count).transpose(1, 2)


def gpt2_weights(c):
    C, F = c["n_embd"], c["n_inner"]
    yield "transformer.wte.weight", (c["vocab_size"], C)
    yield "transformer.wpe.weight", (c["n_positions"], C)
    for l in range(c["n_layer"]):
        h = f"transformer.h.{l}"
        yield f"{h}.ln_1.weight", (C,)
        yield f"{h}.attn.c_attn.weight", (C, 3 * C)
        yield f"{h}.attn.c_proj.weight", (C, C)
        yield f"{h}.ln_2.weight", (C,)
        yield f"{h}.mlp.c_fc.weight", (C, F)
        yield f"{h}.mlp.c_proj.weight", (F, C)
    yield "transformer.ln_f.weight", (C,)
    yield "lm_head.weight", (c["vocab_size"], C)


def gpt2(c, w, tokens):
    norm = lambda x, name: layer_norm(x, x.shape[-1:], w[name], None, c["layer_norm_epsilon"])
    x = w["transformer.wte.weight"][tokens] + w["transformer.wpe.weight"][: tokens.shape[1]]
    for l in range(c["n_layer"]):
        h = f"transformer.h.{l}"
        qkv = norm(x, f"{h}.ln_1.weight") @ w[f"{h}.attn.c_attn.weight"]
        q, k, v = (heads(t, c["n_head"]) for t in qkv.chunk(3, dim=-1))
        x = x + attention(q, k, v) @ w[f"{h}.attn.c_proj.weight"]
        inner = gelu(norm(x, f"{h}.ln_2.weight") @ w[f"{h}.mlp.c_fc.weight"], approximate="tanh")
        x = x + inner @ w[f"{h}.mlp.c_proj.weight"]
    return norm(x, "transformer.ln_f.weight") @ w["lm_head.weight"].T


def llama_weights(c):
    C, F = c["hidden_size"], c["intermediate_size"]
    K = C // c["num_attention_heads"] * c["num_key_value_heads"]
    yield "model.embed_tokens.weight", (c["vocab_size"], C)
    for l in range(c["num_hidden_layers"]):
        h = f"model.layers.{l}"
        yield f"{h}.input_layernorm.weight", (C,)
        yield f"{h}.self_attn.q_proj.weight", (C, C)
        yield f"{h}.self_attn.k_proj.weight", (K, C)
        yield f"{h}.self_attn.v_proj.weight", (K, C)
        yield f"{h}.self_attn.o_proj.weight", (C, C)
        yield f"{h}.post_attention_layernorm.weight", (C,)
        yield f"{h}.mlp.gate_proj.weight", (F, C)
        yield f"{h}.mlp.up_proj.weight", (F, C)
        yield f"{h}.mlp.down_proj.weight", (C, F)
    yield "model.norm.weight", (C,)


def llama(c, w, tokens):
    H, K, T = c["num_attention_heads"], c["num_key_value_heads"], tokens.shape[1]
    D = c["hidden_size"] // H
    angles = torch.arange(T).double()[:, None] * c["rope_parameters"]["rope_theta"] ** (-torch.arange(0, D, 2).double() / D)
    cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
    rotate = lambda x: x * cos + torch.cat((-x[..., D // 2:], x[..., : D // 2]), -1) * sin
    norm = lambda x, name: x * (x.square().mean(-1, keepdim=True) + c["rms_norm_eps"]).rsqrt() * w[name]
    x = w["model.embed_tokens.weight"][tokens]
    for l in range(c["num_hidden_layers"]):
        h = f"model.layers.{l}"
        n = norm(x, f"{h}.input_layernorm.weight")
        q = rotate(heads(n @ w[f"{h}.self_attn.q_proj.weight"].T, H))
        k = rotate(heads(n @ w[f"{h}.self_attn.k_proj.weight"].T, K))
        v = heads(n @ w[f"{h}.self_attn.v_proj.weight"].T, K)
        x = x + attention(q, k, v) @ w[f"{h}.self_attn.o_proj.weight"].T
        n = norm(x, f"{h}.post_attention_layernorm.weight")
        inner = silu(n @ w[f"{h}.mlp.gate_proj.weight"].T) * (n @ w[f"{h}.mlp.up_proj.weight"].T)
        x = x + inner @ w[f"{h}.mlp.down_proj.weight"].T
    return norm(x, "model.norm.weight") @ w["model.embed_tokens.weight"].T


def write(name, family, forward, shapes, c, B, T, seed):
    generator = torch.Generator().manual_seed(seed)
    V = c["vocab_size"]
    # Rounded to float32 before use: both sides start from the same numbers. Gains lie around 1.
    w = {n: (0.08 * torch.randn(s, generator=generator) + (1 if len(s) == 1 else 0)).float().double().requires_grad_()
         for n, s in shapes}
    tokens = torch.randint(0, V, (B, T + 1), generator=generator)
    inputs, targets = tokens[:, :-1], tokens[:, 1:].clone()
    targets[-1, T // 2:] = -1                       # a short last sequence: padded and masked

    def loss_of():
        logits = forward(c, w, inputs)
        return logits, cross_entropy(logits.reshape(-1, V), targets.reshape(-1), ignore_index=-1)

    out = {n: p.detach().float().clone() for n, p in w.items()}
    out |= {"inputs": inputs.int(), "targets": targets.int()}
    decay, plain = [p for p in w.values() if p.dim() == 2], [p for p in w.values() if p.dim() == 1]
    adamw = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}],
                              lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    losses, norms = [], []
    for step in range(10):
        adamw.zero_grad()
        logits, loss = loss_of()
        loss.backward()
        if step == 0:
            out["logits0"] = logits[0].detach().float()
            out |= {f"grad.{n}": p.grad.float() for n, p in w.items()}
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(list(w.values()), 1.0).item())
        adamw.step()
    out |= {f"after10.{n}": p.detach().float() for n, p in w.items()}
    save_file({n: t.contiguous() for n, t in out.items()}, HERE / f"{name}.safetensors")
    record = {"family": family, "config": c, "B": B, "T": T, "loss": losses[0], "loss_curve": losses,
              "grad_norm_curve": norms}
    (HERE / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(name, sum(p.numel() for p in w.values()), "parameters, loss", losses[0], "->", losses[-1])


gpt2_sizes = {"vocab_size": 17, "n_positions": 18, "n_embd": 18, "n_inner": 33, "n_layer": 2, "n_head": 3,
              "layer_norm_epsilon": 1e-5, "bias": False}
write("tiny-gpt2", "gpt2", gpt2, gpt2_weights(gpt2_sizes), gpt2_sizes, B=3, T=18, seed=1)
llama_sizes = {"vocab_size": 19, "hidden_size": 16, "intermediate_size": 22, "num_hidden_layers": 2,
               "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-6,
               "rope_parameters": {"rope_theta": 10000.0}}
write("tiny-llama", "llama", llama, llama_weights(llama_sizes), llama_sizes, B=3, T=17, seed=2)
