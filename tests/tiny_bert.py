"""A tiny BERT of transformers with random weights and a tokenizer, saved as a folder."""

from __future__ import annotations

import torch

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PIECES = (*SPECIALS, "a", "dog", "cat", "red", "blue", "run", "##s", "white", "w", "##hite", ".")


def save_bert(folder, *, kind="BertModel", seed=0, **options):
    """The model, as transformers computes it, in evaluation mode."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    config = transformers.BertConfig(
        **{
            "vocab_size": len(PIECES),
            "hidden_size": 8,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 12,
            "max_position_embeddings": 16,
            "initializer_range": 0.5,
            **options,
        }
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, kind)(config).eval()
        for value in model.parameters():  # norms and biases, too, which begin at 1 and 0
            torch.nn.init.normal_(value, std=0.4)
    model.save_pretrained(folder)
    tokenizer = Tokenizer(
        models.WordPiece({piece: n for n, piece in enumerate(PIECES)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.enable_padding(length=12)  # as published ones have it
    tokenizer.enable_truncation(12)
    tokenizer.save(str(folder / "tokenizer.json"))
    return model
