extension TalePlots {
    /// Stories in which the hero learns to do something: to build, to bake, to play.
    static let handiwork = [making, baking, music].map { $0 + closingTogether }

    private static let making = """
        {hero} wanted to make {a craft} all by {hero.himself}.
        "I will build {a craft}," {~cheered} {hero} one {~daytime}.
        The {~elder} needed {a craft}, and {hero} offered to make it.

        {hero.He} fetched {a ~tool} and some {material}.
        {hero.He} drew a plan and gathered some {material}.
        All {hero.he} had was {a ~tool} and some {material}.

        {hero.He} measured {~adverb} and cut {~number} pieces.
        {hero.He} worked {~adverb} from morning until night.
        {hero.He} hummed a tune about {~song} and worked {~adverb}.

        But the first {craft} fell apart with {a ~sound}.
        But the {material} was too old, and the {craft} broke.
        But it looked more like {a ~thing} than {a craft}.

        "I will never finish it," {~mourned} {hero}.
        {hero} felt {~sad} and threw away {a ~tool}.
        {hero} kicked the {~spot} and sat down in the grass.

        *

        Just then {friend}, {a friendTrait} {friendKind}, came by.
        {A friendTrait} {friendKind} called {friend} had watched over the fence.
        "May I help?" asked {friend}, {a friendTrait} {friendKind}.

        "Put some {~material} on the corners," {~said} {friend}.
        "You need {a ~tool} for that," {~said} {friend}.
        "I made {~number} bad ones before a good one," {~said} {friend}.

        So {hero} began again, more {~adverb} than before.
        They worked side by side and painted it {~hue}.
        {friend} held the {material}, and {hero} did the rest.

        *

        At sunset the {craft} was ready.
        After {~number} days the {craft} stood in the garden.
        This time the {craft} did not break.

        It was the finest {craft} for {~number} miles.
        Even the {~elder} said that it was good work.
        It was a bit crooked, but {hero} loved it.

        "We made it ourselves," {~cheered} {hero}.
        {hero} named it after {friend} and felt {~glad}.
        "Next we will make {a ~craft}," {~cheered} {friend}.
        """

    private static let baking = """
        {hero.His} {relative} had a birthday, so {hero} decided to bake.
        It was the birthday of {hero.his} {relative}.
        Tomorrow was the birthday of {hero.his} {relative}.

        "I will bake {a flavor} {dish}," {~cheered} {hero}.
        {hero} had never baked {a flavor} {dish} before.
        The {relative} liked nothing better than {a flavor} {dish}.

        {hero.He} put {~number} spoons of {ingredient} into {a vessel}.
        {hero.He} took {a vessel} and filled it with {ingredient}.
        Into {a vessel} went some {ingredient} and a lot of {flavor}.

        {hero.He} stirred {~adverb} until {hero.his} arms were tired.
        Crumbs flew everywhere, even behind the {~spot}.
        {hero.He} licked the spoon and sang about {~song}.

        But then {hero.he} saw that there was no {missing} left.
        "Oh no, we have no {missing}!" {~mourned} {hero}.
        But the {~vessel} for the {missing} was empty.

        *

        {hero.He} {~went} to {friend}, {a friendTrait} {friendKind} from next door.
        Next door lived {friend}, {a friendTrait} {friendKind}.
        Luckily {friend}, {a friendTrait} {friendKind}, lived close by.

        "May I borrow some {missing}?" asked {hero}.
        "Do you have any {missing}?" {hero} asked {~adverb}.
        {hero} told {friend.him} about the {flavor} {dish}.

        "Of course, and I will help you," {~answered} {friend}.
        "Take all you need," {~answered} {friend}.
        {friend} brought {~number} spoons of {missing} and {a ~gift}.

        Soon the {dish} was in the oven and smelled of {flavor}.
        They waited {~still} in front of the oven.
        The oven glowed like {a ~glow}, and they told stories.

        *

        The {dish} came out golden, with only one black corner.
        It was not round, but it was the best {dish} of the year.
        It rose so high that it touched the roof of the oven.

        "For me?" asked the {relative}, and everyone sang.
        The {relative} ate {~number} slices and felt {~glad}.
        {hero.His} {relative} took one bite and laughed for joy.
        """

    private static let music = """
        {hero.His} {~relative} gave {hero.him} {a instrument}.
        At the market {hero} bought {a ~look} {instrument}.
        In the attic {hero} found {a ~look} {instrument}.

        {hero.He} tried to play, but it only made {a sound}.
        The first note sounded like {a sound}.
        Out came {a sound}, and {a ~bird} flew away.

        "What a terrible noise," {~snapped} the {~elder}.
        All the neighbours shut their windows.
        Even the {~insect} in the garden ran away.

        {hero} felt {~sad} and hid the {instrument} under the {~spot}.
        "I will never learn it," {~mourned} {hero}.
        {hero} wanted to give the {instrument} away.

        *

        Then {hero.he} met {friend}, {a friendTrait} {friendKind} who knew many songs.
        Near the {~place} lived {friend}, {a friendTrait} {friendKind} with good ears.
        One {~daytime} {friend}, {a friendTrait} {friendKind}, came to listen.

        "Start {~softly}, with one note," {~said} {friend}.
        "I played badly for {~number} years," {~said} {friend}.
        "Play for joy, not for the neighbours," {~said} {friend}.

        So {hero} practised by the {~place}, where only {a ~bird} could hear.
        {hero} played every {~daytime} until the moon came up.
        Note by note, the {sound} turned into a song.

        *

        In {~season} there was a feast, but the band fell ill.
        At the great feast of {~season} nobody had music.
        Then the mayor asked for music at the feast.

        {hero} took {hero.his} {instrument} and played a song about {~song}.
        {hero.His} heart beat fast, but {hero.he} played {~softly}.
        {friend} nodded, and {hero} began to play {~softly}.

        Everyone danced, even the {~elder}.
        The whole village clapped for {~number} minutes.
        For a moment nobody spoke, and then everyone cheered.

        "That was no {sound} at all," {~cheered} {friend}.
        {hero} bowed and felt {~glad}.
        "One note at a time," {~said} {hero}.
        """
}
