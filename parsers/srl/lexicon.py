"""Word lists of the role rules, by what they say about a predicate or a preposition.

The verb classes follow the senses that captions use; numbered roles are PropBank's.
"""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The different words of a text.

    Args:
        text: words with spaces between them.

    Returns:
        The words.
    """
    return frozenset(text.split())


UNACCUSATIVE = word_set(
    "appear arise arrive await become belong bloom blossom burst cascade come consist contain "
    "cost depend die disappear drift emerge erupt exist expire fall flicker flow freeze go happen "
    "hover last leap matter melt occur overflow peak plunge recover remain resemble return seem "
    "sit slip soar sound sparkle sprout squat stay stem suffer swirl thrive tumble vanish wait"
)
"""Verbs whose subject is the thing that moves or is: ARG1, not ARG0."""

POSTURE = word_set(
    "dangle float hang kneel lay lean lie nestle park perch pile protrude rest seat sit squat "
    "stack stand stick"
)
"""Verbs of position: without an object the subject is ARG1 and the place ARG2."""

WEATHER = word_set("drizzle hail pour rain snow thunder")
"""Verbs whose `it` is no argument."""

LINKING = word_set("appear become feel get grow keep look remain seem smell sound stay taste turn")
"""Verbs that take an attribute as ARG2."""

DATIVE = word_set(
    "assign award bring deliver explain feed give grant hand introduce lend offer owe pass pay "
    "present read sell send serve show sing speak talk teach tell throw toss write"
)
"""Verbs whose to-phrase is the recipient, ARG2."""

PERCEPTION = word_set("feel have hear help let make notice observe see watch")
"""Verbs whose object and bare infinitive are one clause, ARG1."""

PLACING = word_set(
    "add apply arrange attach bring carry drop dip fit hang insert lay lead lift load lower pack "
    "park place plant plug position pour press pull push put set shoot shove spread sprinkle stick "
    "stuff take throw toss tuck"
)
"""Verbs of caused motion: the goal of the object is ARG2."""

RESTING = word_set("insert lay park place plant position put set tuck")
"""Verbs of placing whose in- and on-phrases are goals too."""

MOTION = word_set(
    "climb come dive drive drop fall fly go hop jump leap march move ride run sail slide step swim "
    "travel walk"
)
"""Verbs of motion whose end point is ARG4."""

ADDRESSING = word_set(
    "aim bark glance gaze grin laugh look point scream shout smile stare wave yell"
)
"""Verbs whose at-phrase is a participant, not a place."""

TIME_NOUNS = word_set(
    "afternoon christmas date dawn day daybreak daytime dusk evening halloween hour midday "
    "midnight minute moment month morning night nighttime noon season second spring summer "
    "sunrise sunset time today tomorrow tonight twilight week weekend winter year yesterday"
)
TIME_ADVERBS = word_set(
    "again already always currently early eventually ever finally first immediately last late "
    "later momentarily never next now occasionally often once recently simultaneously sometimes "
    "soon still then today tomorrow tonight usually yesterday"
)
PLACE_ADVERBS = word_set(
    "abroad anywhere downstairs downtown elsewhere everywhere here home indoors inside nearby "
    "nowhere outdoors outside overhead somewhere there underneath underwater upstairs"
)
STATIVE_ADVERBS = word_set(
    "abroad ahead alone aside away back below downstairs here home indoors inside nearby out "
    "outdoors outside overhead there together upstairs"
)
"""Adverbs that can be what somebody or something is: `the dog is outside`."""
DIRECTION_ADVERBS = word_set(
    "ahead apart around aside away back backward backwards down downhill downward forth forward "
    "forwards off out over past sideways through up uphill upward upwards"
)
DISCOURSE_ADVERBS = word_set("also anyway however instead moreover please therefore thus too well")
DEGREE_ADVERBS = word_set(
    "almost barely completely entirely extremely far fully greatly more most "
    "much nearly quite really slightly so totally very"
)
MANNER_ADVERBS = word_set("alone alike barefoot fast hard how loud straight tightly together")
MODALS = word_set("can could may might must shall should will would ca wo 'll 'd ’ll ’d")
NEGATIONS = word_set("n't never no nor not n’t")

TIME_MARKS = word_set("after as before once since till until when whenever while whilst")
TIME_PREPOSITIONS = word_set("after before during since throughout until till")
PATH_PREPOSITIONS = word_set(
    "across along away back down into off onto out past through throughout toward towards up"
)
PLACE_PREPOSITIONS = word_set(
    "above against alongside amid amidst among amongst around aside at atop behind below beneath "
    "beside besides between beyond by in inside near next on opposite outside over under "
    "underneath underwater upon within"
)
