extension TaleLexicon {
    /// How things are done, said and felt.
    static let manners = [
        TaleWords(
            "went",
            """
            walked ran hurried hopped went skipped marched trotted crept rushed wandered climbed raced tiptoed
            strolled galloped stumbled scampered waddled bounded plodded dashed limped trudged scurried rambled
            sauntered zigzagged tramped ambled shuffled scuttled jogged hobbled
            """),
        TaleWords(
            "said",
            """
            said whispered murmured explained declared remarked suggested announced hummed mused noted added
            """),
        TaleWords(
            "adverb",
            """
            quickly slowly quietly carefully happily bravely proudly eagerly calmly merrily patiently neatly boldly
            cheerfully steadily swiftly cleverly thoughtfully joyfully hopefully busily tirelessly diligently
            skilfully briskly silently earnestly gracefully
            """),
        TaleWords(
            "glad",
            """
            happy glad proud cheerful merry pleased thankful delighted joyful excited grateful relieved jolly
            thrilled overjoyed lighthearted gleeful jubilant elated blissful radiant
            """),
        TaleWords(
            "sad",
            """
            sad worried lonely upset gloomy unhappy miserable blue downcast troubled discouraged glum
            weary sorrowful heavy-hearted dejected forlorn crestfallen
            """),
        TaleWords("answered", "answered replied said responded explained"),
        TaleWords(
            "cheered",
            """
            cried laughed called shouted exclaimed sang_out giggled chuckled cheered beamed crowed chirped
            chimed whooped rejoiced
            """),
        TaleWords(
            "mourned",
            """
            sighed sobbed mumbled whispered muttered whimpered moaned wailed groaned grumbled sniffed stammered
            faltered lamented croaked
            """),
        TaleWords(
            "snapped",
            """
            shouted cried snapped growled yelled hissed grumbled screamed roared scolded barked fumed huffed
            """),
        TaleWords(
            "still",
            """
            patiently quietly silently calmly hopefully eagerly nervously breathlessly sleepily anxiously shyly
            motionlessly
            """),
        TaleWords(
            "loudly",
            """
            loudly merrily proudly heartily wildly noisily happily gleefully cheekily boisterously
            """),
        TaleWords(
            "fiercely",
            """
            fiercely angrily stubbornly wildly crossly rudely furiously roughly greedily hotly
            """),
        TaleWords(
            "scared",
            """
            afraid frightened nervous scared uneasy alarmed shaky terrified jittery fearful petrified
            """),
        TaleWords("softly", "gently carefully softly tenderly lightly delicately sweetly daintily slowly"),
        TaleWords("number", "two three four five six seven eight nine ten twelve twenty fifty eleven thirty forty"),
        TaleWords(
            "size", "small tall big crooked narrow cosy tidy stone wooden yellow brick thatched tumbledown lopsided"),
        TaleWords(
            "race",
            """
            running swimming sack rowing jumping kite-flying egg-and-spoon baking singing pie-eating tree-climbing
            dancing snowball juggling pumpkin-rolling fishing riddle hat-throwing skating whistling pancake-tossing
            sandcastle arm-wrestling yodelling three-legged wheelbarrow
            """),
        TaleWords(
            "gift",
            """
            warm_blanket bag_of_seeds jar_of_jam pot_of_honey loaf_of_bread new_pair_of_boots woollen_hat sweet_melon
            bundle_of_herbs paper_star box_of_chalk ball_of_yarn basket_of_figs cherry_bun clay_whistle
            lump_of_cheese bottle_of_ink string_of_beads painted_egg bunch_of_grapes tin_soldier toffee_apple
            """),
        TaleWords(
            "dream",
            """
            flying_fish soft_clouds a_chocolate_mountain dancing_mice a_talking_teapot the_wide_sea warm_bread
            silver_boats a_giant_strawberry friendly_dragons a_castle_of_ice singing_pebbles marmalade_rivers
            velvet_meadows a_polka-dot_elephant whistling_kettles faraway_harbours upside-down_houses
            """),
        TaleWords(
            "lesson",
            """
            to_share to_wait to_listen to_help to_forgive to_ask_first to_be_brave to_say_thank_you to_tell_the_truth
            to_try_again to_be_patient to_keep_a_promise to_look_twice to_make_room_for_others to_laugh_at_mistakes
            to_begin_with_small_steps to_welcome_strangers to_rest_when_tired
            """),
    ]
}
