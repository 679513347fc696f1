"""A WordPiece tokenizer trained on the records themselves, so that no download is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, cast

from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
PREFIX = "##"


def train_tokenizer(texts: Iterable[str], vocabulary: int = 4000) -> PreTrainedTokenizerFast:
    """Train a lower-casing WordPiece tokenizer with BERT's specials; equal texts give equal tokenizers.

    Every letter of a to z, and any other that occurs, becomes a piece, so that a name never seen in `texts` is spelt
    rather than unknown. Texts are gone through twice; only those of an iterator are held.
    Source: Schuster and Nakajima 2012; Devlin et al. 2019, section 3.

        >>> tokenizer = train_tokenizer(["Paris is the capital of France."], 60)
        >>> tokenizer.mask_token
        '[MASK]'
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    texts = list(texts) if isinstance(texts, Iterator) else texts
    specials = [PAD, UNKNOWN, CLS, SEP, MASK]
    normalizer, pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    letters = set(ascii_lowercase)
    for text in texts:
        for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)):
            letters.update(word[1:])
    # The trainer numbers inner letters in the order of a randomly seeded hash and breaks ties between pairs by these
    # numbers. Given beforehand, where only special tokens can be given, they are the same in every run.
    inner = [PREFIX + letter for letter in sorted(letters)]
    learned = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    learned.normalizer, learned.pre_tokenizer = normalizer, pre_tokenizer
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        special_tokens=[*specials, *inner],
        initial_alphabet=list(ascii_lowercase),
        show_progress=False,
    )
    learned.train_from_iterator(texts, trainer)
    tokenizer = Tokenizer(models.WordPiece(learned.get_vocab(), unk_token=UNKNOWN, continuing_subword_prefix=PREFIX))
    tokenizer.add_special_tokens(specials)
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normalizer, pre_tokenizer, decoders.WordPiece()
    cls, sep = tokenizer.token_to_id(CLS), tokenizer.token_to_id(SEP)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}", pair=f"{CLS} $A {SEP} $B {SEP}", special_tokens=[(CLS, cls), (SEP, sep)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, unk_token=UNKNOWN, cls_token=CLS, sep_token=SEP, mask_token=MASK
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer that lies in a local transformers folder."""
    from transformers import AutoTokenizer

    if not (folder / "tokenizer.json").is_file():
        raise InputError(f"{folder}: no tokenizer.json in this folder")
    return cast("PreTrainedTokenizerFast", AutoTokenizer.from_pretrained(str(folder), local_files_only=True))
