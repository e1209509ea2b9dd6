"""`rule_frames`: semantic role frames from a dependency tree, by rules, without a model.

Predicates are verbs that are no auxiliaries; subjects are found through coordination, control and
relative clauses; a dependent's label, preposition and verb class give its PropBank role.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphmatch.parse import Argument, Frame, Parse
from graphmatch.parsers.srl import lexicon
from graphmatch.parsers.srl.tree import SUBJECTS, ClauseTree

_RELATIVES = frozenset(("who", "whom", "which", "that", "whose", "where", "when"))
_CORE = frozenset(("ARG0", "ARG1", "ARG2"))


def rule_frames(parse: Parse) -> tuple[Frame, ...]:
    """Frames of a parse by rules over its Universal Dependencies tree.

    One ARG0, ARG1 and ARG2 a predicate; an argument that would contain its predicate is left out.
    An argument is the whole phrase of its head word, prepositions included, punctuation trimmed.

    Args:
        parse: a parse; its own frames are ignored.

    Returns:
        One frame a predicate, in order; a predicate without arguments has an empty frame.

    Example:
        >>> parse = Parse.from_tree(
        ...     ["a", "dog", "chases", "cats"], heads=[1, 2, -1, 2],
        ...     deprels=["det", "nsubj", "root", "obj"], tags=["DT", "NN", "VBZ", "NNS"])
        >>> rule_frames(parse)[0].arguments
        (Argument(role='ARG0', words=(0, 1)), Argument(role='ARG1', words=(3,)))
    """
    rules = _Rules(parse)
    return tuple(rules.frame(token) for token in rules.predicates())


class _Rules(ClauseTree):
    """The role of every dependent of a predicate."""

    def subject_role(self, token: int, copula: bool) -> str:
        lemma = self.lemmas[token]
        has_object = self.child(token, "obj") >= 0
        if copula or lemma == "be":
            return "ARG1"
        if self.deprels[token] == "amod":
            return "ARG1" if self.tags[token] == "VBN" else "ARG0"
        if self.is_passive(token):
            return "ARG2" if has_object and lemma in lexicon.DATIVE else "ARG1"
        if not has_object and lemma in lexicon.POSTURE:
            return "ARG1"
        return "ARG1" if lemma in lexicon.UNACCUSATIVE else "ARG0"

    # frames

    def frame(self, token: int) -> Frame:
        clause = self.clause(token)
        verb = [token]
        found: list[tuple[str, int, int]] = []
        if self.deprels[clause] == "acl:relcl":
            found.extend(self.relative(token, clause))
        relatives = {(start, end) for role, start, end in found if role.startswith("R-")}
        found.extend(self.subject_argument(token, clause))
        if clause != token:
            found.append(("ARG2", *self.complement(clause, token)))
        # objects come first so that a phrase cannot take their number
        children = sorted(self.children[clause], key=lambda c: self.deprels[c] not in ("obj",))
        for child in children:
            if child == token or (clause != token and not self.belongs_to(token, clause, child)):
                continue
            if self.deprels[child] == "compound:prt":
                if child == verb[-1] + 1:
                    verb.append(child)
                else:
                    found.append(("C-V", child, child + 1))
                continue
            argument = self.dependent(token, clause, child)
            if argument is not None and argument[1:] not in relatives:
                found.append(argument)
        return Frame(tuple(verb), self.tidy(found, verb))

    def belongs_to(self, copula: int, clause: int, child: int) -> bool:
        """Whether a dependent of the complement is one of the copula's clause."""
        deprel = self.deprels[child]
        if deprel.startswith("obl"):
            return not (self.pos[clause] == "ADJ" and child > clause)
        if deprel == "advmod":
            between = copula < child < clause
            return not (between and self.lower[child] in lexicon.DEGREE_ADVERBS)
        return deprel in ("advcl", "aux", "expl")

    def tidy(self, found: list[tuple[str, int, int]], verb: list[int]) -> tuple[Argument, ...]:
        taken: set[str] = set()
        arguments = []
        for role, start, end in found:
            while start < end and self.pos[start] == "PUNCT":
                start += 1
            while start < end and self.pos[end - 1] == "PUNCT":
                end -= 1
            if start >= end or any(start <= word < end for word in verb):
                continue
            if role in _CORE:
                if role in taken and not self.is_place(start, end):
                    continue
                if role in taken:
                    role = "ARGM-LOC"
                else:
                    taken.add(role)
            arguments.append(Argument(role, tuple(range(start, end))))
        return tuple(sorted(arguments, key=lambda argument: argument.words))

    def is_place(self, start: int, end: int) -> bool:
        """Whether a phrase starts with a preposition of place: it can be an adjunct as well."""
        return (
            end - start > 1
            and self.deprels[start] == "case"
            and self.lower[start] in lexicon.PLACE_PREPOSITIONS
        )

    def subject_argument(self, token: int, clause: int) -> Iterator[tuple[str, int, int]]:
        subject = self.subject(clause)
        if subject is None:
            return
        head, start, end = subject
        lemma = self.lemmas[token]
        if lemma in lexicon.WEATHER and self.lower[head] == "it":
            return
        if self.lower[head] == "there" and self.tags[head] == "EX":
            return
        yield self.subject_role(token, clause != token), start, end

    def relative(self, token: int, clause: int) -> Iterator[tuple[str, int, int]]:
        """The modified noun of a relative clause, and its pronoun with an R- role."""
        noun = self.heads[clause]
        start, end = self.phrase_without(noun, clause)
        pronoun, holder = self.relative_word(clause)
        if pronoun < 0:
            if self.child(clause, *SUBJECTS) >= 0 and self.child(clause, "obj") < 0:
                stranded = next(
                    (c for c in self.children[clause]
                     if self.deprels[c] == "obl" and self.tags[c] == "IN"), -1
                )  # fmt: skip
                role = "ARG1" if stranded < 0 else self.preposition(token, stranded, "", stranded)
                if clause == token:
                    yield role, start, end
            return
        word = self.lower[pronoun]
        deprel = self.deprels[holder]
        if deprel in SUBJECTS:
            role = self.subject_role(token, clause != token)
        elif deprel == "obj":
            role = "ARG1"
        elif word == "where":
            role = "ARGM-LOC"
        elif word == "when":
            role = "ARGM-TMP"
        elif deprel == "obl":
            role = self.preposition(token, holder, self.case(holder), holder)
        else:
            return
        yield role, start, end
        yield f"R-{role}", *self.phrase(holder)

    def relative_word(self, clause: int) -> tuple[int, int]:
        """The relative pronoun of a clause and the dependent of the clause that holds it."""
        for child in self.children[clause]:
            if child > clause or self.deprels[child] in ("mark", "advcl", "cop"):
                continue
            for word in (child, *self.children[child]):
                if self.lower[word] in _RELATIVES and self.tags[word][:1] in ("W", ""):
                    return word, child
        return -1, -1

    def case(self, token: int) -> str:
        """The preposition of a phrase, its words joined by a space."""
        return " ".join(
            self.lower[child] for child in self.children[token]
            if self.deprels[child] in ("case", "fixed") and child < token
        )  # fmt: skip

    def dependent(self, token: int, clause: int, child: int) -> tuple[str, int, int] | None:
        """Role and borders of one dependent of a predicate."""
        deprel = self.deprels[child]
        base = deprel.partition(":")[0]
        start, end = self.phrase(child)
        lemma = self.lemmas[token]
        role = ""
        if deprel == "obl:agent":
            role = "ARG0"
        elif deprel == "obl:tmod":
            role = "ARGM-TMP"
        elif deprel in ("obl:npmod", "obl:unmarked"):
            role = "ARGM-TMP" if self.lemmas[child] in lexicon.TIME_NOUNS else "ARGM-EXT"
        elif base == "obl":
            role = self.preposition(token, clause, self.case(child), child)
        elif base == "obj":
            role = self.object_role(token, clause)
            end = self.small_clause(lemma, clause, child, end)
        elif base == "iobj":
            role = "ARG2"
        elif base == "xcomp":
            role = self.complement_role(lemma, clause, child)
        elif base == "ccomp":
            role = "ARG1"
        elif base == "advcl":
            role = self.clause_role(child)
        elif base == "advmod":
            role = self.adverb(child)
        elif deprel == "aux" and (self.tags[child] == "MD" or self.lower[child] in lexicon.MODALS):
            role = "ARGM-MOD"
        return (role, start, end) if role else None

    def object_role(self, token: int, clause: int) -> str:
        passive = self.is_passive(token) and self.child(clause, "nsubj:pass") >= 0
        return "ARG2" if passive and self.lemmas[token] not in lexicon.DATIVE else "ARG1"

    def small_clause(self, lemma: str, clause: int, child: int, end: int) -> int:
        """End of an object that makes one clause with a bare infinitive or participle."""
        if lemma not in lexicon.PERCEPTION:
            return end
        other = self.child(clause, "xcomp")
        if other > child and self.is_verb(other) and self.child(other, "mark") < 0:
            return self.right[other] + 1
        return end

    def complement_role(self, lemma: str, clause: int, child: int) -> str:
        if not self.is_verb(child):
            return "ARG2"
        if self.child(clause, "obj") < 0 or lemma == "want":
            return "ARG1"
        return "" if lemma in lexicon.PERCEPTION else "ARG2"

    def clause_role(self, child: int) -> str:
        mark = self.child(child, "mark")
        word = self.lower[mark] if mark >= 0 else ""
        if mark < 0:
            adverb = next(
                (
                    c
                    for c in self.children[child]
                    if c < child and self.deprels[c] == "advmod" and self.lower[c] == "when"
                ),
                -1,
            )
            return "ARGM-TMP" if adverb >= 0 else "ARGM-ADV"
        if word in lexicon.TIME_MARKS:
            return "ARGM-TMP"
        return _MARK_ROLES.get(word, "ARGM-ADV")

    def adverb(self, child: int) -> str:
        word = self.lower[child]
        if word in lexicon.NEGATIONS:
            return "ARGM-NEG"
        if word in _QUESTION_ROLES:
            return _QUESTION_ROLES[word]
        oblique = self.child(child, "obl")
        if word in lexicon.DIRECTION_ADVERBS and oblique >= 0:
            return "ARGM-DIR"
        for words, role in _ADVERB_ROLES:
            if word in words:
                return role
        return "ARGM-MNR" if word.endswith("ly") else "ARGM-ADV"

    def preposition(self, token: int, clause: int, case: str, child: int) -> str:
        """Role of a preposition phrase, first rule that fits."""
        lemma = self.lemmas[token]
        word = case.partition(" ")[0] or self.lower[child]
        has_object = self.child(clause, "obj") >= 0
        noun = self.lemmas[child]
        if case and (
            word in lexicon.TIME_PREPOSITIONS
            or noun in lexicon.TIME_NOUNS
            or (self.tags[child] == "CD" and len(noun) == 4 and noun.isdigit())
        ):
            return "ARGM-TMP"
        if word == "to" and lemma in lexicon.DATIVE:
            return "ARG2"
        if word in ("because", "due"):
            return "ARGM-CAU"
        if word == "for":
            return "ARGM-PRP" if self.tags[child] == "VBG" else "ARG2"
        if word == "with":
            return "ARGM-MNR" if has_object else "ARG2"
        if word in ("without", "like") or (word == "by" and self.is_passive(token)):
            return "ARG0" if word == "by" else "ARGM-MNR"
        if word == "as":
            return "ARG2"
        if word in ("about", "of"):
            return "ARG2" if has_object else "ARG1"
        if not has_object and word == "at" and lemma in lexicon.ADDRESSING:
            return "ARG2"
        if word in lexicon.PLACE_PREPOSITIONS and lemma in lexicon.POSTURE and not has_object:
            return "ARG2"
        if word in ("to", "into", "onto"):
            if lemma in lexicon.PLACING:
                return "ARG2"
            if lemma in lexicon.MOTION:
                return "ARG4"
            return "ARG2" if word == "to" else "ARGM-GOL" if has_object else "ARGM-DIR"
        if word in ("in", "on") and lemma in lexicon.RESTING:
            return "ARG2"
        if word == "from":
            return "ARGM-DIR" if lemma in lexicon.MOTION else "ARG2"
        if word in lexicon.PATH_PREPOSITIONS:
            return "ARGM-DIR"
        if lemma in lexicon.MOTION and word in ("over", "around") and lemma != "go":
            return "ARGM-DIR"
        return "ARGM-LOC" if word in lexicon.PLACE_PREPOSITIONS else "ARGM-ADV"


_QUESTION_ROLES = {"where": "ARGM-LOC", "when": "ARGM-TMP", "why": "ARGM-CAU"}
_MARK_ROLES = {
    "about": "ARG1",
    "of": "ARG1",
    "because": "ARGM-CAU",
    "to": "ARGM-PRP",
    "for": "ARGM-PRP",
    "by": "ARGM-MNR",
    "without": "ARGM-MNR",
    "with": "ARGM-MNR",
    "like": "ARGM-MNR",
    "from": "ARG2",
}
_ADVERB_ROLES = (
    (lexicon.TIME_ADVERBS, "ARGM-TMP"),
    (lexicon.PLACE_ADVERBS, "ARGM-LOC"),
    (lexicon.DIRECTION_ADVERBS, "ARGM-DIR"),
    (lexicon.DISCOURSE_ADVERBS, "ARGM-DIS"),
    (lexicon.DEGREE_ADVERBS, "ARGM-EXT"),
    (lexicon.MANNER_ADVERBS, "ARGM-MNR"),
)
