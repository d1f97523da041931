"""Decoders small enough to be trained here, as transformers' own models."""

from dataclasses import dataclass

from transformers import GPT2Config, LlamaConfig


@dataclass(frozen=True)
class Size:
    """A pre-norm decoder's shape.

    Attributes
    ----------
    layers
        Blocks, L.
    heads
        Of each block, H.
    width
        Of the residual stream, d.
    """

    layers: int
    heads: int
    width: int

    def gpt2(self, vocabulary: int, positions: int) -> GPT2Config:
        """With learned positions, LayerNorm, and heads of width d/H.

        Nothing is dropped at random, since hardly a token is seen twice.

        Parameters
        ----------
        vocabulary
            Tokens that it knows, of which the first ends a text.
        positions
            The longest sequence that it takes.
        """
        return GPT2Config(
            vocab_size=vocabulary,
            n_positions=positions,
            n_embd=self.width,
            n_layer=self.layers,
            n_head=self.heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
        )

    def llama(
        self, vocabulary: int, positions: int, *, head_width: int, feed_forward: int
    ) -> LlamaConfig:
        """With rotary positions, RMSNorm, and heads of any even width.

        Parameters
        ----------
        vocabulary, positions
            As in `gpt2`.
        head_width
            Of each head, r, even since rotations turn pairs of axes.
        feed_forward
            Width of the gated feed-forward part.

        Raises
        ------
        ValueError
            If the width of heads is odd.
        """
        if head_width % 2:
            raise ValueError(
                f"head_width: {head_width} is odd; rotary positions turn pairs of axes"
            )
        return LlamaConfig(
            vocab_size=vocabulary,
            max_position_embeddings=positions,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            head_dim=head_width,
            intermediate_size=feed_forward,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
        )


SIZES = {
    "tiny": Size(2, 2, 32),
    "tiny4": Size(4, 8, 64),
    "tiny6": Size(6, 8, 64),
    "small": Size(6, 8, 128),
    "medium": Size(12, 8, 384),
}
"""Of seconds, of minutes on one core (two of them), of half an hour, and one for a GPU."""
