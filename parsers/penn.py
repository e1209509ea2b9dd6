"""Penn Treebank tags as universal tags."""

from __future__ import annotations

_UNIVERSAL = {
    "CC": "CCONJ", "CD": "NUM", "DT": "DET", "EX": "PRON", "FW": "X", "IN": "ADP", "JJ": "ADJ",
    "JJR": "ADJ", "JJS": "ADJ", "LS": "X", "MD": "AUX", "NN": "NOUN", "NNS": "NOUN",
    "NNP": "PROPN", "NNPS": "PROPN", "PDT": "DET", "POS": "PART", "PRP": "PRON", "PRP$": "PRON",
    "RB": "ADV", "RBR": "ADV", "RBS": "ADV", "RP": "ADP", "SYM": "SYM", "TO": "PART",
    "UH": "INTJ", "VB": "VERB", "VBD": "VERB", "VBG": "VERB", "VBN": "VERB", "VBP": "VERB",
    "VBZ": "VERB", "WDT": "PRON", "WP": "PRON", "WP$": "PRON", "WRB": "ADV", "ADD": "X",
    "AFX": "X", "GW": "X", "XX": "X", "$": "SYM", "#": "SYM", "HYPH": "PUNCT", "NFP": "PUNCT",
    ".": "PUNCT", ",": "PUNCT", ":": "PUNCT", "``": "PUNCT", "''": "PUNCT", '"': "PUNCT",
    "-LRB-": "PUNCT", "-RRB-": "PUNCT", "-LSB-": "PUNCT", "-RSB-": "PUNCT",
}  # fmt: skip


def universal_pos(tag: str, deprel: str) -> str:
    """Universal part of speech of a Penn tag.

    Args:
        tag: the Penn tag.
        deprel: the word's Universal Dependencies label: it tells auxiliaries from verbs, and
            subordinating conjunctions from prepositions.

    Returns:
        The universal tag; `X` for an unknown one.

    Example:
        >>> universal_pos("VBZ", "cop"), universal_pos("IN", "mark"), universal_pos("TO", "case")
        ('AUX', 'SCONJ', 'ADP')
    """
    base = deprel.partition(":")[0]
    if tag.startswith("VB") and base in ("aux", "cop"):
        return "AUX"
    if tag == "IN" and base == "mark":
        return "SCONJ"
    if tag == "TO" and base == "case":
        return "ADP"
    return _UNIVERSAL.get(tag, "X")
