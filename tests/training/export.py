"""The pupil as int8 ONNX with a calibrated softmax, beside its tokenizer and a manifest with their digests. Needs onnx."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import train as g
from messages import HELP, LABELS


def best_temperature(logits, wanted):
    scores, targets = torch.tensor(logits), torch.tensor(wanted)
    return min((torch.nn.functional.cross_entropy(scores / t, targets).item(), float(t)) for t in np.arange(0.6, 2.5, 0.02))[1]


class Shipped(torch.nn.Module):
    def __init__(self, net, labels, helps):
        super().__init__()
        self.net, self.labels, self.helps = net, labels, helps

    def forward(self, input_ids, attention_mask, token_type_ids):
        labels, helps = self.net(input_ids, attention_mask, token_type_ids)
        return torch.softmax(labels / self.labels, 1), torch.softmax(helps / self.helps, 1)


def main(name, target=Path("ragbot/guardrails/weights")):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = Path(g.DIR)
    net = g.network("minilm", weights=False)
    net.load_state_dict({k: v.float() for k, v in torch.load(made / f"{name}.pt", map_location="cpu").items()})
    net.eval()
    net.enc.set_attn_implementation("eager")
    held = json.loads((made / "held.json").read_text())
    logits = np.load(made / f"{name}.score.npy").astype(np.float32)[: len(held)]
    helped = [row for row, one in enumerate(held) if one["help"] in HELP]
    labels = best_temperature(logits[:, :10], [LABELS.index(one["label"]) for one in held])
    helps = best_temperature(logits[helped][:, 10:], [HELP.index(held[row]["help"]) for row in helped])
    ids = torch.randint(1000, 9000, (2, 16))
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {one: {0: "batch", 1: "tokens"} for one in names} | {"labels": {0: "batch"}, "help": {0: "batch"}}
    torch.onnx.export(
        Shipped(net, labels, helps),
        (ids, torch.ones_like(ids), torch.zeros_like(ids)),
        str(made / "fp32.onnx"),
        input_names=names,
        output_names=["labels", "help"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    target.mkdir(parents=True, exist_ok=True)
    quantize_dynamic(
        made / "fp32.onnx",
        target / "guard.onnx",
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul", "Gather", "Gemm"],
        extra_options={"MatMulConstBOnly": True},
    )
    tokenizer = json.loads((Path(g.minilm_folder()) / "tokenizer.json").read_text()) | {"padding": None, "truncation": None}
    (target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")))
    manifest = json.loads((target / "manifest.json").read_text()) if (target / "manifest.json").exists() else {"name": "ragbot-guard", "version": 0}
    manifest |= {"labels": LABELS, "help": HELP, "temperature": {"labels": round(labels, 2), "help": round(helps, 2)}}
    manifest["sha256"] = {one: hashlib.sha256((target / one).read_bytes()).hexdigest() for one in ("guard.onnx", "tokenizer.json")}
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
