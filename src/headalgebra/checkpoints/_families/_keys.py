"""Keys of a config.json that families share: those without an effect on queries and keys."""

# What training, generation, labels and bookkeeping left in a config.json.
BOOKKEEPING = frozenset(
    {
        "_attn_implementation_autoset",
        "_commit_hash",
        "_name_or_path",
        "_num_labels",
        "architectures",
        "bad_words_ids",
        "begin_suppress_tokens",
        "bos_token_id",
        "chunk_size_feed_forward",
        "decoder_start_token_id",
        "diversity_penalty",
        "do_sample",
        "dtype",
        "early_stopping",
        "encoder_no_repeat_ngram_size",
        "eos_token_id",
        "exponential_decay_length_penalty",
        "finetuning_task",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "gradient_checkpointing",
        "id2label",
        "initializer_range",
        "label2id",
        "length_penalty",
        "max_length",
        "min_length",
        "model_type",
        "no_repeat_ngram_size",
        "num_beam_groups",
        "num_beams",
        "num_labels",
        "num_return_sequences",
        "output_attentions",
        "output_hidden_states",
        "output_past",
        "output_scores",
        "pad_token_id",
        "prefix",
        "problem_type",
        "remove_invalid_values",
        "repetition_penalty",
        "return_dict",
        "return_dict_in_generate",
        "sep_token_id",
        "suppress_tokens",
        "task_specific_params",
        "temperature",
        "tf_legacy_loss",
        "tie_word_embeddings",
        "tokenizer_class",
        "top_k",
        "top_p",
        "torch_dtype",
        "torchscript",
        "transformers_version",
        "typical_p",
        "use_bfloat16",
        "use_cache",
        "vocab_size",
        "xla_device",
    }
)

# What the block around the projections does: its perceptron, dropout, masks, biases, and the
# numbers added under square roots.
BLOCK = frozenset(
    {
        "attention_bias",
        "activation_function",
        "attention_dropout",
        "attn_pdrop",
        "classifier_dropout",
        "embd_pdrop",
        "hidden_act",
        "hidden_activation",
        "hidden_dropout",
        "intermediate_size",
        "layer_norm_eps",
        "layer_norm_epsilon",
        "max_position_embeddings",
        "max_window_layers",
        "mlp_bias",
        "n_inner",
        "resid_pdrop",
        "rms_norm_eps",
        "sliding_window",
        "use_sliding_window",
    }
)

# How experts are chosen and weighed; attention has none.
EXPERTS = frozenset(
    {
        "decoder_sparse_step",
        "first_k_dense_replace",
        "mlp_only_layers",
        "moe_intermediate_size",
        "n_group",
        "n_routed_experts",
        "n_shared_experts",
        "norm_topk_prob",
        "num_experts",
        "num_experts_per_tok",
        "num_local_experts",
        "output_router_logits",
        "routed_scaling_factor",
        "router_aux_loss_coef",
        "router_jitter_noise",
        "shared_expert_intermediate_size",
        "topk_group",
        "topk_method",
    }
)

# What older releases wrote for features that are off.
OFF: dict[str, object] = {
    "cross_attention_hidden_size": None,
    "pruned_heads": {},
    "quantization_config": None,
    "tie_encoder_decoder": False,
}

# Under their present and their former names.
ROTARY = frozenset({"max_position_embeddings", "rope_parameters", "rope_scaling", "rope_theta"})

# Their authors' own code for the architecture that transformers has taken over since.
AUTHORS_CODE = frozenset({"auto_map"})
