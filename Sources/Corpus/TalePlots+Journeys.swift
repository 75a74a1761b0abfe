extension TalePlots {
    /// Stories in which the hero goes somewhere or somebody comes: a loss, a quest, a stranger, a hurt bird.
    static let journeys = [
        lost + closingTogether, quest + closingAlone, stranger + closingAlone, bird + closingAlone,
    ]

    private static let lost = """
        One {~weather} {~daytime}, {hero} could not find {hero.his} {look} {thing}.
        On {a ~weather} {~daytime} in {~season}, {hero} lost {hero.his} {look} {thing}.
        {hero.His} dearest treasure was {a look} {thing}, but one {~daytime} it was gone.

        {hero.He} looked under the {~spot}, but it was not there.
        {hero.He} searched behind the {~spot} and found only {a ~insect}.
        "It must be near the {~spot}," {hero.he} thought, but it was not.
        All that {hero.he} found under the {~spot} was an old {~garment}.

        So {hero} {~went} to the {place} to ask for help.
        {hero} felt {~sad} and {~went} all the way to the {place}.
        At last {hero.he} {~went} to the {place} to look there.

        *

        There {hero.he} met {friend}, {a friendTrait} {friendKind}.
        By the {place} sat {friend}, {a friendTrait} {friendKind} with {a ~garment}.
        {A friendTrait} {friendKind} called {friend} was resting there.

        "Why do you look so {~sad}?" asked {friend}.
        "Did you lose something?" {friend} asked kindly.
        "You seem {~sad}, my dear," {~said} {friend}.

        "I have lost my {look} {thing}," {~mourned} {hero}.
        "My {look} {thing} is gone," {~mourned} {hero}.
        {hero} told {friend.him} about the {look} {thing}.

        "Let us look together," {~answered} {friend}.
        "I am good at finding things," {~said} {friend}.
        "Four eyes see more than two," {~said} {friend}.

        They looked {~adverb} under the {~spot} and behind {a ~tree}.
        Together they {~went} to the {~place} and back again.
        For {~number} hours they searched around the {~place}.

        *

        Suddenly {friend} heard {a ~sound} from above.
        At last {a ~bird} called to them from {a ~tree}.
        Then {a ~insect} showed them the way.

        And there, behind the {~spot}, lay the {look} {thing}!
        The {look} {thing} was hanging in {a ~tree}!
        {hero} looked down, and there was the {thing} in the grass!

        "Thank you, {friend}," {~cheered} {hero}.
        {hero} hugged {friend.him} and laughed.
        {hero} was so {~glad} that {hero.he} danced around the {friendKind}.
        """

    private static let quest = """
        One {~weather} {~daytime}, {hero.his} {relative} fell ill.
        In {~season} the {relative} of {hero} caught a bad cold.
        That {~season}, {hero.his} {relative} began to cough.

        "Only tea from {a hue} {flower} can help," said the doctor.
        "You need tea from {a hue} {flower}," said the doctor.
        The doctor said that only {a hue} {flower} could help.

        It grew far away, behind the {place}.
        Such flowers grow only near the {place}.
        Nobody had seen one for {~number} years, except at the {place}.

        {hero} packed some {~flavor} {~fare} and set out {~adverb}.
        "I will fetch it," {~said} {hero}, and off {hero.he} went.
        {hero} took {a ~look} {~thing} for luck and left at once.

        *

        First {hero.he} {~went} past the {place2}, and then it began to rain.
        On the way {hero.he} heard {a ~sound} and hid behind {a ~tree}.
        By noon {hero.he} felt {~sad}, and both feet hurt.

        Under {a ~tree} {hero.he} met {a elder} who looked {~sad}.
        Near the bridge {a elder} was sitting on {a ~look} bench.
        Then {a elder} came along the road with {a ~look} {~thing}.

        "Where are you going, little {kind}?" asked the {elder}.
        "Have you lost your way?" asked the {elder}.
        "You are far from home," {~said} the {elder}.

        "I am looking for {a hue} {flower}," {~answered} {hero}.
        "I need {a hue} {flower} for my {relative}," {~answered} {hero}.

        The {elder} gave {hero.him} {a ~gift} and showed {hero.him} the way.
        "Follow the {~bird} and turn left at the {~tree}," {elder.he} said.
        {elder.He} drew a map with {~number} crosses on it.

        *

        Behind the {place} stood a single {hue} {flower}.
        And there it was: {a hue} {flower}, shining like {a ~glow}.
        After {~number} more steps {hero} saw the {hue} {flower} at last.

        {hero} picked it {~softly} and {~went} home.
        {hero.He} ran home with it and did not stop once.
        {hero} wrapped it in {a ~garment} and carried it home.

        The {relative} drank the tea and felt better at once.
        {hero.His} {relative} took {~number} sips and smiled again.
        The next {~daytime} the {relative} was well again and {~glad}.
        """

    private static let stranger = """
        Late one {~weather} {~daytime}, there was a knock at the door.
        In the middle of {~season}, somebody knocked at the door of {hero}.
        One {~weather} {~daytime}, a stranger came up the road.

        Outside stood {a elder} with {a ~look} {~thing}.
        It was {a elder} from a faraway {~place}.
        The stranger was {a elder} in {a ~hue} {~garment}.

        "I have walked for {~number} days," {~mourned} the {elder}.
        "My wagon broke down near the {~place}," {~mourned} the {elder}.
        "I am hungry, and my feet hurt," {~mourned} the {elder}.

        Some neighbours closed their shutters.
        Nobody else had opened the door to {elder.him}.
        "We do not know {elder.him}," grumbled the {~animal} next door.

        But {hero} said, "Come in and sit by the fire."
        "Come in, there is {~flavor} {~fare} on the stove," {~cheered} {hero}.
        {hero} had only {a ~flavor} {~dish}, but {hero.he} cut it in two.

        *

        The {elder} ate {~adverb} and told a tale about {~song}.
        All evening the {elder} played {a ~instrument} by the fire.
        {hero} gave {elder.him} a blanket and {a ~garment}.

        At dawn the {elder} was gone.
        The next {~daytime} the {elder} said goodbye and {~went} away.
        In the night there was {a ~sound}, and then the {elder} was gone.

        On the table {hero} found {a look} {thing}.
        Under the pillow lay {a look} {thing}.
        By the door stood {a look} {thing} with a ribbon on it.

        "For {a ~trait} {kind} with a warm heart," said a note.
        "This is for the supper and the bed," said a note.
        Beside it lay a note: "Kindness comes home again."

        Whenever {hero} touched the {thing}, {hero.he} felt {~glad}.
        On {~weather} nights the {thing} glowed like {a ~glow}.
        {hero} keeps the {thing} beside the {~spot} to this day.
        """

    private static let bird = """
        Under {a ~tree} {hero} found {a bird} with a broken wing.
        On the way home {hero} found {a bird} that could not fly.
        {A bird} fell out of {a ~tree}, right in front of {hero}.

        "I got lost in the storm," {~mourned} the {bird}.
        The {bird} looked up and trembled.
        "Do not be afraid," {~said} {hero} to the {bird}.

        {hero} wrapped it in {a ~garment} and carried it home.
        {hero.He} made it a nest of {~bedding} in {a ~vessel}.
        {hero.He} put it in {a ~vessel} beside the stove.

        The doctor bound up the wing with {~binding}.
        Every {~daytime} {hero.he} fed it {~number} crumbs of {~flavor} {~dish}.
        {hero.He} told it stories about {~song}.

        "Will it fly again?" asked {hero.his} {~relative}.
        {hero} felt {~sad}, but {hero.he} did not give up.
        After {~number} days it ate {~adverb} and sang a little.

        *

        One {~weather} {~daytime} the {bird} spread both wings.
        Then, in {~season}, the wing was well again.
        At last the {bird} hopped onto the {~spot} and flapped.

        "It is time to go," {~said} the {bird}.
        The {bird} looked at the window and then at {hero}.
        {hero} knew that it was time to say goodbye.

        {hero} opened the window, and away it flew over the {place}.
        {hero.He} carried it to the {place} and let it go.
        It circled {~number} times and flew off towards the {place}.

        {hero} was {~sad} and {~glad} at the same time.
        {hero.He} waved goodbye until it was only a dot.
        "Come back soon," {~cheered} {hero}.

        *

        The next {~season} there was {a ~sound} at the window.
        A year later {hero} heard a song from the {~tree}.
        Many months later, something landed on the {~spot}.

        The {bird} was back, with {~number} little ones.
        It was the {bird}, and it had brought {a ~look} {~thing}.
        There sat the {bird} with {a ~hue} {~flower} in its beak.
        """
}
