"""Exports a reference model by PyTorch, as anyone would, for the import to read. Run by hand:

    python tools/bench/exported.py smollm2|minilm WEIGHTS OUT.onnx

needs torch, transformers, safetensors and onnxscript in that Python; WEIGHTS is what
`dataforge artifacts path smollm2-135m-instruct` (or `minilm-l6`) prints. SmolLM2 takes `ids` [rows, positions] and
`at` [slots], the positions whose logits are wanted; MiniLM takes ids and a mask, and gives hidden states.
"""

import sys

import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM


class LanguageModel(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        config = LlamaConfig(
            vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
            num_key_value_heads=3, max_position_embeddings=8192, rope_theta=100000.0, rms_norm_eps=1e-5,
            tie_word_embeddings=True, attn_implementation="eager",
        )
        self.llama = LlamaForCausalLM(config)
        self.llama.load_state_dict(named(self.llama, weights, LLAMA))

    def forward(self, ids, at):
        hidden = self.llama.model(input_ids=ids, use_cache=False).last_hidden_state
        return self.llama.lm_head(hidden.flatten(0, 1)[at])


class Encoder(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        config = BertConfig(
            vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536,
            max_position_embeddings=512, type_vocab_size=2, layer_norm_eps=1e-12, attn_implementation="eager",
        )
        self.bert = BertModel(config, add_pooling_layer=False)
        self.bert.load_state_dict(named(self.bert, weights, BERT))

    def forward(self, ids, mask):
        return self.bert(input_ids=ids, attention_mask=mask).last_hidden_state


def split_pairs(x, heads):
    """Neighbouring pairs of each head's columns into its halves: PyTorch's models turn halves."""
    return x.unflatten(1, (heads, -1, 2)).transpose(2, 3).flatten(1)


# Our name of a tensor, theirs, and what is done to it: theirs multiply by the transpose.
def turned(x):
    return x.t()


LLAMA = {
    "embedding": ("model.embed_tokens.weight", None),
    "final_norm": ("model.norm.weight", None),
    "attention_norm": ("input_layernorm.weight", None),
    "query": ("self_attn.q_proj.weight", lambda x: turned(split_pairs(x, 9))),
    "key": ("self_attn.k_proj.weight", lambda x: turned(split_pairs(x, 3))),
    "value": ("self_attn.v_proj.weight", turned),
    "attention_output": ("self_attn.o_proj.weight", turned),
    "feed_forward_norm": ("post_attention_layernorm.weight", None),
    "gate": ("mlp.gate_proj.weight", turned),
    "up": ("mlp.up_proj.weight", turned),
    "down": ("mlp.down_proj.weight", turned),
}

BERT = {
    "word_embedding": ("embeddings.word_embeddings.weight", None),
    "position_embedding": ("embeddings.position_embeddings.weight", None),
    "type_embedding": ("embeddings.token_type_embeddings.weight", None),
    "embedding_norm": ("embeddings.LayerNorm.weight", None),
    "query": ("attention.self.query.weight", turned),
    "key": ("attention.self.key.weight", turned),
    "value": ("attention.self.value.weight", turned),
    "attention_output": ("attention.output.dense.weight", turned),
    "attention_norm": ("attention.output.LayerNorm.weight", None),
    "up": ("intermediate.dense.weight", turned),
    "down": ("output.dense.weight", turned),
    "feed_forward_norm": ("output.LayerNorm.weight", None),
}


def named(module, weights, names):
    """The weights under the module's names."""
    state = {}
    for name, tensor in weights.items():
        prefix, _, part = name.rpartition(".")
        bias = part.endswith("_bias")
        theirs, change = names[part.removesuffix("_bias")]
        if bias:
            theirs, change = theirs.removesuffix("weight") + "bias", None
        if prefix:
            layer = prefix.removeprefix("layer.")
            theirs = f"{'model.layers' if names is LLAMA else 'encoder.layer'}.{layer}.{theirs}"
        state[theirs] = change(tensor).contiguous() if change else tensor
    if names is LLAMA:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    for name, buffer in module.named_buffers():
        state.setdefault(name, buffer)
    return {name: state[name] for name in module.state_dict()}


def main():
    kind, weights, out = sys.argv[1:]
    weights = load_file(weights)
    rows, positions, slots = 2, 16, 4
    ids = torch.arange(rows * positions).reshape(rows, positions)
    grid = {0: "rows", 1: "positions"}
    if kind == "smollm2":
        model, inputs = LanguageModel(weights), (ids, torch.arange(slots))
        names, shapes, output = ["ids", "at"], {"ids": grid, "at": {0: "slots"}}, "logits"
    else:
        model, inputs = Encoder(weights), (ids, torch.ones_like(ids))
        names, shapes, output = ["ids", "mask"], {"ids": grid, "mask": grid}, "hidden"
    with torch.no_grad():
        torch.onnx.export(
            model.eval(), inputs, out, input_names=names, output_names=[output], dynamic_shapes=shapes,
            opset_version=18, dynamo=True, external_data=False,
        )


if __name__ == "__main__":
    main()
