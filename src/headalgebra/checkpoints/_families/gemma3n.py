"""Gemma 3n: Llama's layout, keys and values that layers share."""

from collections.abc import Mapping
from typing import Any

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families._attention import (
    AttentionShape,
    Projection,
    Rotary,
    rotary_of,
)
from headalgebra.checkpoints._families._refusals import rope_refusals
from headalgebra.checkpoints._families.llama import Qwen3

OTHERS_NORM = {
    "fold_norm": "its last layers take keys and values that an earlier layer made behind a norm of "
    "its own"
}


class Gemma3n(Qwen3):
    """Text decoders of the Gemma team (2025), "Gemma 3n".

    Queries and keys are normalised head by head; the gammas are part of the operators. Values are
    divided by their size, which is no part of them. Scores are not scaled. The last
    `num_kv_shared_layers` compare their queries with the keys of an earlier layer, the last of
    their kind that has its own, made from the residual stream as it was there. Layers that see a
    window of the sequence rotate faster than the others.
    """

    handled = Qwen3.handled | {"layer_types", "num_kv_shared_layers", "rope_local_base_freq"}
    ignored = Qwen3.ignored | {
        "activation_sparsity_pattern",
        "altup_active_idx",
        "altup_coef_clip",
        "altup_correct_scale",
        "altup_lr_multiplier",
        "altup_num_inputs",
        "final_logit_softcapping",
        "hidden_size_per_layer_input",
        "laurel_rank",
        "query_pre_attn_scalar",
        "vocab_size_per_layer_input",
    }

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes, where every layer that takes keys has one to take them from."""
        shape = super().shape(config, where)
        own = shape.n_layers - config.num_kv_shared_layers
        kinds = config.layer_types
        if not 0 < own <= shape.n_layers or not {*kinds[own:]} <= {*kinds[:own]}:
            raise CheckpointError(
                where,
                f"num_kv_shared_layers is {config.num_kv_shared_layers} of {shape.n_layers}, and "
                "no earlier layer of their kind has keys",
                "correct it or layer_types",
            )
        return shape

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """Keys and values of the layer that they are taken from."""
        queries, keys, values, outputs = super().projections(config, shape, layer)
        own = shape.n_layers - config.num_kv_shared_layers
        if layer >= own:
            kinds = config.layer_types
            source = max(i for i in range(own) if kinds[i] == kinds[layer])
            _, keys, values, _ = super().projections(config, shape, source)
        return queries, keys, values, outputs

    def scale(self, config: Any, shape: AttentionShape, layer: int) -> float:
        """None."""
        return 1.0

    def rotary(self, config: Any, layer: int) -> Rotary:
        """As the kind of the layer has it."""
        kind = config.layer_types[layer]
        return rotary_of("gemma3n", "Gemma3nRotaryEmbedding", config, layer_type=kind)

    def refusals(self, config: Any) -> Mapping[str, str]:
        """Rotations that depend on the sequence length, and a norm that is another layer's."""
        kinds = {*config.layer_types}
        folded = OTHERS_NORM if config.num_kv_shared_layers else {}
        return folded | rope_refusals(*(config.rope_parameters[kind] for kind in kinds))
