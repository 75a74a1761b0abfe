extension TalePlots {
    /// Stories about two: a quarrel, a contest, a night of storm, a thief in the garden.
    static let friends = [quarrel, contest, storm, garden].map { $0 + closingTogether }

    private static let quarrel = """
        {hero} had a friend, {a friendTrait} {friendKind} called {friend}.
        {hero.His} best friend was {friend}, {a friendTrait} {friendKind}.
        Next door lived {friend}, {a friendTrait} {friendKind}.

        They shared every {~dish} and every secret.
        Every {~season} they {~went} to the {~place} together.
        The two of them loved {~hobby}.

        But one {~weather} {~daytime} they both found {a look} {thing}.
        Then they saw {a look} {thing} under the {~spot}.
        One {~daytime} a parcel came, and {a look} {thing} was in it.

        "It is mine," {~snapped} {hero}.
        "I saw it first," {~snapped} {hero}.
        "Give it to me," {~snapped} {hero}.

        "No, it belongs to me," {~snapped} {friend}.
        "That is not fair," {~snapped} {friend}.
        {friend} pulled {~fiercely} at the {thing}.

        They pulled, and with {a ~sound} both of them fell over.
        "Then you are not my friend any more," {~snapped} {hero}.
        They shouted until {a ~bird} flew out of the {~tree}.

        *

        {hero} {~went} home alone and felt {~sad}.
        {friend} {~went} to the {~place} and cried.
        For {~number} days they did not speak to each other.

        Without {friend}, even {~hobby} was no fun.
        {hero} ate {~flavor} {~fare} alone, and it tasted of nothing.
        At night {hero.he} missed the voice of {friend}.

        "{A thing} cannot laugh with you," said {hero.his} {~relative}.
        "A friend is worth more than {a thing}," said {a ~elder}.
        Then {a ~bird} sang a song about {~song}, and {hero} thought hard.

        *

        So {hero} baked {a ~flavor} {~dish} and took it to {friend}.
        So {hero} picked {a ~hue} {~flower} and took it to {friend}.
        So {hero} {~went} to the door of {friend} and knocked {~number} times.

        "I am sorry," {~mourned} {hero}.
        "Please forgive me," {~mourned} {hero}.
        "I was wrong," {~mourned} {hero}.

        "I am sorry too," {~answered} {friend}.
        {friend} smiled and opened the door wide.
        "I missed you," {~cheered} {friend}.

        Now the {look} {thing} hangs on the wall for both of them.
        They gave the {thing} to {a ~elder} and never missed it.
        After that they took turns with the {look} {thing}.
        """

    private static let contest = """
        Every {~season} there was {a race} contest at the {place}.
        {A ~bird} brought news: {a race} contest at the {place}!
        Soon it was time for the great {race} contest at the {place}.

        "I want to win the {prize}," {~cheered} {hero}.
        The prize was {a prize}, and {hero} wanted it badly.
        First prize was {a prize} as big as {a ~animal}.

        The best of all was {friend}, {a friendTrait} {friendKind}.
        But {friend}, {a friendTrait} {friendKind}, had won {~number} times before.
        {A friendTrait} {friendKind} called {friend} wanted it too.

        For {~number} days {hero} practised near the {~place}.
        {hero} ate {~flavor} {~fare} and went to bed early.
        "Nobody beats {a friendKind}," {~said} {friend}.

        *

        On the great day it was {~weather}, and everybody came.
        The great day began with music from {a ~instrument}.
        {~Number} neighbours came to watch, with {~flavor} {~fare} for all.

        {A ~elder} rang {a ~look} bell, and it began.
        "Ready, steady, go!" shouted {a ~elder}.
        At noon {a ~elder} waved {a ~hue} flag.

        At first {friend} was ahead, and {hero} felt {~sad}.
        {hero} started {~adverb} and was soon ahead.
        {friend} laughed {~loudly} and did not look back.

        Then {friend} stumbled over {a ~thing} and could not get up.
        Halfway there, {friend} called for help from under {a ~tree}.
        Suddenly there was {a ~sound}, and {friend} lay in the mud.

        {hero} could have won, but {hero.he} stopped.
        {hero} turned around and helped {friend.him} up.
        "Winning can wait," {~said} {hero}, and turned back.

        *

        They finished together, last of all.
        Side by side they finished, and everyone cheered {~loudly}.
        {A ~animal} came first, but everyone looked at the two of them.

        So the {prize} went to both of them.
        "We have two winners today," said the judge, and gave them the {prize}.
        {hero} got the {prize}, and {friend} got {a ~gift}.

        "You are {a ~trait} {kind}," {~cheered} {friend}.
        "Next year we will practise together," {~said} {friend}.
        {friend} was {~glad} and a little ashamed.
        """

    private static let storm = """
        One night a great storm blew in from the {~place}.
        That evening the sky turned {~hue}, and thunder rolled.
        When darkness came, the wind began to howl around the house.

        {hero} hid under the {~spot} and felt {~scared}.
        Rain fell on the roof like {~number} drums.
        Lightning lit up the {~place}, bright as day.

        Then {hero.he} heard {a sound} outside the door.
        Between two gusts came {a sound} from the dark.
        Suddenly there was {a sound} behind the {~spot}.

        "Is it a monster?" {~mourned} {hero}.
        {hero.He} counted to {~number} and did not dare to breathe.
        "It is only the wind," {hero.he} told {hero.himself}.

        There was the {sound} again, louder than before.
        The {sound} came nearer and nearer.
        Again came the {sound}, and then all was still.

        *

        {hero} took {a ~look} lantern and opened the door {~still}.
        Although {hero.his} knees shook, {hero} went to look.
        "Who is there?" {hero} called {~still}.

        In the rain stood {friend}, {a friendTrait} {friendKind}.
        It was only {friend}, {a friendTrait} {friendKind}, wet all over.
        Under {a ~tree} sat {a friendTrait} {friendKind} called {friend}.

        "The storm took my roof," {~mourned} {friend}.
        "I lost my way by the {~place}," {~mourned} {friend}.
        "I was afraid to be alone," {~mourned} {friend}.

        "Then stay with me," {~cheered} {hero}.
        {hero} took {friend.him} in and lit {~number} candles.
        {hero} fetched a blanket and some hot {~flavor} tea.

        *

        They told jokes until the thunder gave up.
        They sang about {~song} until the storm was over.
        {friend} played {a ~instrument}, and the storm seemed far away.

        In the morning the sky was {~hue} and calm.
        At sunrise {a ~bird} sang in the {~tree}.
        When they woke, {a ~bird} sat on the {~spot} and sang.
        """

    private static let garden = """
        One {~season} {hero} planted {crop} behind the house.
        {hero} dreamed of a garden full of {crop}.
        One {~daytime} {a ~elder} gave {hero} a bag of seeds for {crop}.

        Every {~daytime} {hero.he} watered them with {a ~look} can.
        {hero.He} pulled out the weeds and talked to the plants.
        {hero.He} dug {~adverb} until {hero.his} {~garment} was full of earth.

        But one {~daytime} a whole row was gone.
        Then something began to nibble at the leaves.
        One night {hero.he} heard {a ~sound} between the rows.

        "Who is eating my {crop}?" asked {hero}.
        {hero} built a scarecrow out of {~material} and {a ~garment}.
        {hero} hid behind {a ~tree} and waited {~still}.

        *

        The thief was {friend}, {a friendTrait} {friendKind}.
        Out of the dark came {friend}, {a friendTrait} {friendKind}.
        "Please do not be angry," said {a friendTrait} {friendKind} called {friend}.

        "I have {~number} children and nothing to eat," {~mourned} {friend}.
        "I only wanted to taste one," {~mourned} {friend}.
        "Your garden smelled so good," {~mourned} {friend}.

        {hero} wanted to be angry, but {hero.he} could not.
        {hero} thought about it for {~number} minutes.
        "You could have asked," {~said} {hero}.

        "Help me water them, and half of them are yours," {hero.he} said.
        "Let us dig a second garden, just for you," {hero.he} said.
        "Come by every {~daytime} and work with me," {hero.he} said.

        *

        From then on {friend} carried water from the {~place}.
        So they dug and raked and sang about {~song}.
        {friend} chased every {~insect} away and worked {~adverb}.

        In {~season} they picked {~number} baskets of {crop}.
        The {crop} grew until they touched the {~tree}.
        At the market they sold {crop} to {a ~elder}.

        They cooked a feast for everyone near the {~place}.
        {hero} was {~glad} and gave {friend} the biggest basket.
        "Shared {crop} taste better," {~cheered} {hero}.
        """
}
