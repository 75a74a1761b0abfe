/// What tales are told about, in the notation of TaleGrammar.swift. The plots themselves are in
/// TalePlots+Journeys.swift, TalePlots+Friends.swift and TalePlots+Handiwork.swift.
package enum TalePlots {
    package static let grammar = TaleGrammar(
        lists: TaleLexicon.lists, roles: roles, opening: opening, plots: journeys + friends + handiwork)

    private static let roles: [TaleGrammar.Role] = [
        .init("hero", "name"), .init("friend", "name", otherThan: "hero"),
        .init("kind", "animal"), .init("friendKind", "animal", otherThan: "kind"),
        .init("trait", "trait"), .init("friendTrait", "trait", otherThan: "trait"),
        .init("elder", "elder"), .init("relative", "relative"),
        .init("thing", "thing"), .init("look", "look"), .init("hue", "hue"), .init("flower", "flower"),
        .init("place", "place"), .init("place2", "place", otherThan: "place"),
        .init("race", "race"), .init("prize", "prize"), .init("sound", "sound"),
        .init("craft", "craft"), .init("material", "material"), .init("instrument", "instrument"),
        .init("flavor", "flavor"), .init("dish", "dish"), .init("vessel", "vessel"),
        .init("ingredient", "ingredient"), .init("missing", "ingredient", otherThan: "ingredient"),
        .init("crop", "crop"), .init("bird", "bird"),
    ]

    /// Every story begins so; gives the hero a name, a kind and a trait.
    private static let opening = """
        Once there was {a trait} {kind} called {hero}.
        Once upon a time, {a trait} {kind} named {hero} lived by the {~place}.
        In {a ~size} house near the {~place} lived {hero}, {a trait} {kind}.
        Long ago, under {a ~tree}, there lived {a trait} {kind} called {hero}.
        {hero} was {a trait} {kind} who loved {~hobby}.

        {hero.He} lived with {hero.his} {~relative}, who baked the best {~dish} in the village.
        {hero.He} had {a ~hue} {~garment} and wore it every {~daytime}.
        Everyone for miles around knew {hero.him} well.
        All day long {hero.he} sang songs about {~song}.
        At night {hero.he} liked to dream of {~dream}.
        """

    /// How stories about the hero and a friend end.
    static let closingTogether = """


        From that day on, {hero} and {friend} were the best of friends.
        Since then {hero} has always remembered {~lesson}.
        That night they both dreamed of {~dream}.
        And on {~weather} days they still laugh about it.
        If you pass the {~place}, you may see them there together.

        *
        """

    /// How stories about the hero alone end.
    static let closingAlone = """


        Since then {hero} has always remembered {~lesson}.
        That night {hero.he} slept well and dreamed of {~dream}.
        And on {~weather} days {hero.he} still thinks about it.
        "Life is good," {~cheered} {hero}.
        If you pass the {~place}, {hero.he} may tell you the story.

        *
        """
}
