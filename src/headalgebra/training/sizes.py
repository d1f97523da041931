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

    def matched_feed_forward(self, head_width: int, *, instead_of: int, feed_forward: int) -> int:
        """The feed-forward width at which heads of another width leave as many parameters.

        A block of `llama` has ``d (4 H r + 3 f)`` parameters beside its gains, f being the
        feed-forward width, so that f takes up ``4 H / 3`` for each axis that a head gives off. It
        is whole, which leaves a block ``3 d / 2`` parameters off at the most.

        Parameters
        ----------
        head_width
            Of each head, r.
        instead_of, feed_forward
            The widths of heads and of the feed-forward part that go together with the wanted number
            of parameters.

        Raises
        ------
        ValueError
            If the heads alone have as many.
        """
        matched = feed_forward + round(4 * self.heads * (instead_of - head_width) / 3)
        if matched < 1:
            raise ValueError(
                f"head_width: heads of {head_width} axes have more parameters than heads of "
                f"{instead_of} and a feed-forward part of {feed_forward}; take narrower heads"
            )
        return matched


SIZES = {
    "tiny": Size(2, 2, 32),
    "tiny4": Size(4, 8, 64),
    "tiny6": Size(6, 8, 64),
    "small": Size(6, 8, 128),
    "medium": Size(12, 8, 384),
}
"""Of seconds, of minutes on one core (two of them), of half an hour, and one for a GPU."""
