/// The words of the tales, written for this corpus. Common words come first in each list. No word of a list is the
/// beginning of another one up to a space or hyphen, and all are plain ASCII.
enum TaleLexicon {
    static let lists = characters + objects + nature + manners

    private static let characters = [
        TaleWords(
            "name",
            he: """
                Tobin Pim Otto Bram Finn Hugo Milo Rufus Ned Felix Gus Barnaby Arlo Oskar Jasper Kip Fergus Linus Percy
                Wilbur Magnus Casper Benno Edmund Gilbert Nico Orson Rowan Tucker Dexter Cedric Jonas Ezra Alden Elmer
                Horace Ivan Leopold Mortimer Norbert Quentin Sidney Ulric Victor Yorick Zeke Ambrose Boris Clement
                Dunstan Florian Gaston Hector Jarvis Jethro Lorenzo Murdo Nestor Osbert Piers Roland Thaddeus Vernon
                Walter Zoltan Griffin
                """,
            she: """
                Mira Nell Ada Tilda Luna Clara Dora Elsie Wanda Molly Ivy Greta Nora Ruby Lotte Minna Bettina Odette
                Petra Sadie Agatha Bianca Cleo Daphne Edith Flora Gilda Hattie Ingrid Josie Kitty Lydia Mabel Nettie
                Olive Pearl Queenie Rosalind Sylvie Thea Ursula Verity Winnie Yasmin Zelda Amelia Beatrix Cordelia
                Delphine Esme Fiona Georgia Harriet Isolde Juniper Katinka Leonie Matilda Nadine Ottilie Philippa
                Ramona Susanna Tabitha Viola Wilma
                """),
        TaleWords(
            "animal",
            """
            hedgehog fox rabbit mouse badger bear otter squirrel frog cat duck goat mole hare goose dog beaver owl pig
            hen turtle donkey sheep weasel raccoon toad lamb pony wolf deer swan rat hamster kitten puppy penguin
            dormouse stoat marten lynx seal heron porcupine vole shrew newt lizard snail camel koala panda tapir
            llama alpaca ferret mongoose possum wombat walrus zebra gecko bison moose chipmunk
            """),
        TaleWords(
            "elder",
            he: """
                miller fisherman shepherd woodcutter blacksmith gardener cobbler ferryman postman carpenter hermit
                farmer tinker beekeeper gatekeeper tailor sailor peddler clockmaker lighthouse_keeper juggler
                knight wizard bell_ringer chimney_sweep puppeteer
                """,
            she: """
                baker weaver potter schoolteacher innkeeper painter dairymaid dressmaker midwife seamstress queen
                fiddler candlemaker librarian mapmaker glassblower cook bookbinder storyteller astronomer
                ropemaker basketmaker toymaker goldsmith acrobat stonemason
                """),
        TaleWords(
            "trait",
            """
            brave little shy curious merry clever gentle stubborn quiet cheerful lazy kind patient proud hungry tidy
            bold dreamy sleepy careful restless jolly grumpy polite nimble timid lively playful clumsy
            thoughtful noisy humble daring loyal fussy plucky generous bashful witty forgetful sensible eager
            hopeful sturdy tender impatient adventurous bossy chatty inventive peaceful mischievous
            """),
        TaleWords(
            "relative",
            "grandmother grandfather mother father uncle aunt cousin brother sister godmother neighbour nephew niece"),
        TaleWords(
            "hobby",
            """
            singing dancing swimming counting_stars collecting_buttons climbing_trees picking_berries telling_jokes
            painting_pictures reading_maps skipping_stones baking_bread watching_clouds planting_seeds whistling
            solving_riddles flying_kites building_towers drawing_faces chasing_butterflies mending_clocks
            folding_paper carving_wood knitting_socks feeding_ducks learning_poems rolling_downhill hunting_mushrooms
            polishing_spoons writing_letters inventing_machines juggling_pears blowing_bubbles sorting_pebbles
            """),
    ]

    private static let objects = [
        TaleWords(
            "thing",
            """
            kite ball key lantern drum ring book hat bell button spoon whistle box doll marble mirror map cup feather
            umbrella scarf necklace basket compass puppet acorn pebble candle brush rattle teapot crown flute pencil
            satchel shell locket purse saddle wagon yo-yo top hoop sled snow_globe music_box telescope pocket_watch
            magnet bracelet thimble buckle cushion blanket penknife wheelbarrow hourglass trumpet rocking_horse
            medal banner helmet shovel ladle vase chessboard bookmark inkwell paintbrush parasol goblet brooch
            """),
        TaleWords(
            "look",
            """
            red blue yellow green golden silver wooden tiny shiny round old purple striped white new brass copper
            orange pink black tin painted spotted little glass dusty leather ivory crimson scarlet turquoise velvet
            woolly patched crooked gleaming heavy delicate enormous carved speckled checkered violet rusty amber
            """),
        TaleWords(
            "spot",
            """
            bed table bench log hedge stone barrel cupboard rug bush chair cart stove woodpile haystack
            bookshelf bathtub mattress sofa trough ladder flowerpot rosebush pillow wardrobe washtub doormat
            crate trunk piano sack beehive stump dresser armchair bookcase anvil churn manger hammock
            """),
        TaleWords(
            "garment",
            """
            scarf hat coat cap shawl bonnet apron cloak vest jacket ribbon sweater waistcoat necktie collar belt
            nightcap cape raincoat tunic bow_tie beret mitten sash
            """),
        TaleWords(
            "dish",
            """
            pie cake tart pudding loaf pancake muffin biscuit strudel omelette bun waffle pasty crumble flan
            dumpling
            """),
        TaleWords("fare", "soup bread jam stew salad porridge broth cheese butter sauce ice_cream jelly gravy"),
        TaleWords(
            "flavor",
            """
            apple honey plum carrot pumpkin berry cherry pear nut mushroom cheese lemon onion potato peach ginger
            walnut turnip cinnamon raspberry blueberry almond parsnip rhubarb apricot hazelnut leek strawberry
            gooseberry spinach chestnut cabbage garlic quince vanilla poppyseed barley elderberry tomato beetroot
            """),
        TaleWords(
            "ingredient",
            """
            sugar butter flour salt milk cream oil syrup cocoa rice mint nutmeg oatmeal cornmeal buttermilk
            """),
        TaleWords(
            "vessel", "bowl pot pan jar jug kettle dish bucket tub cauldron pitcher mug saucepan tray platter"),
        TaleWords(
            "tool",
            """
            hammer saw needle brush knife rope spade chisel ruler axe file glue_pot ladder hook pair_of_scissors
            paintbrush mallet drill trowel plane screwdriver wrench thread pair_of_tongs
            """),
        TaleWords(
            "craft",
            """
            boat kite chair drum cradle basket bird_house wagon ladder lamp bridge sled bench flute clock puppet stool
            rocking_chair table blanket windmill raft swing bookcase rowing_boat tent quilt weathervane picture_frame
            see-saw hammock fiddle signpost kennel letterbox desk footstool sundial dollhouse
            """),
        TaleWords(
            "material",
            """
            wood clay paper straw cloth string leather bark wool tin reeds glass twigs stone felt canvas silk wire
            bamboo driftwood linen cork pinecones cardboard velvet wax willow_branches
            """),
        TaleWords("bedding", "straw wool moss hay feathers grass leaves cotton thistledown"),
        TaleWords("binding", "linen cotton string silk gauze yarn twine"),
        TaleWords(
            "instrument",
            """
            fiddle flute drum trumpet harp horn guitar piano whistle tambourine bagpipe banjo cello clarinet
            accordion lute mandolin xylophone tuba oboe piccolo zither
            """),
        TaleWords(
            "song",
            """
            spring rain home snow summer friendship the_moon the_sea autumn bread a_lost_shoe three_bears the_harvest
            a_silly_king winter sleep a_dancing_cow tomorrow courage a_sailor the_river seven_sneezes a_purple_whale
            """),
        TaleWords(
            "prize",
            """
            cup ribbon medal cake crown pie trophy bunch_of_flowers bag_of_nuts wheel_of_cheese jar_of_honey
            basket_of_plums barrel_of_cider sack_of_sugar garland coin book_of_riddles box_of_fudge
            """),
    ]

    private static let nature = [
        TaleWords(
            "place",
            """
            river hill pond forest mill meadow bridge village lake garden market valley beach cave orchard well castle
            barn mountain harbour island field cliff windmill lighthouse tower swamp waterfall stream crossroads
            schoolhouse library bakery vineyard quarry churchyard heath canyon ravine lagoon marsh glade moor ruins
            chapel wharf dairy workshop dunes thicket grove inn stable bathhouse fountain tollgate watermill
            """),
        TaleWords(
            "tree",
            """
            oak willow apple_tree birch pine elm chestnut_tree maple beech fir cherry_tree ash alder poplar linden
            cedar hawthorn yew rowan_tree aspen walnut_tree spruce larch sycamore
            """),
        TaleWords(
            "flower",
            """
            rose daisy tulip poppy violet sunflower lily bluebell buttercup daffodil snowdrop marigold primrose pansy
            foxglove dandelion peony crocus iris hyacinth cowslip cornflower lavender orchid carnation geranium
            thistle honeysuckle petunia dahlia forget-me-not
            """),
        TaleWords(
            "bird",
            """
            robin sparrow wren swallow blackbird crow finch dove magpie thrush starling lark jay pigeon woodpecker
            cuckoo gull nightingale raven kingfisher pheasant quail nuthatch puffin parrot goldfinch kestrel plover
            """),
        TaleWords("hue", "red blue yellow white purple pink orange golden silver crimson violet black turquoise pale"),
        TaleWords(
            "insect",
            """
            bee butterfly beetle ladybird cricket moth ant dragonfly grasshopper firefly gnat spider wasp
            caterpillar
            """),
        TaleWords(
            "crop",
            """
            carrots peas beans pumpkins potatoes cabbages onions turnips radishes strawberries tomatoes cucumbers
            lettuces melons leeks parsnips beetroots pears plums apples cherries sunflowers squashes artichokes
            """),
        TaleWords(
            "weather",
            """
            sunny windy rainy cold foggy warm snowy cloudy bright frosty misty grey stormy mild golden chilly breezy
            drizzly icy muggy crisp hazy blustery glorious gloomy
            """),
        TaleWords("daytime", "morning afternoon evening day Monday Sunday Tuesday Friday Saturday Thursday Wednesday"),
        TaleWords("season", "spring summer autumn winter May April June October March September July August November"),
        TaleWords(
            "sound",
            """
            creak thump whisper squeak rustle splash knock howl sob rattle hoot bang scratch rumble crash whimper
            jingle hiss groan sneeze snore growl yelp hum clatter murmur gurgle twang
            """),
        TaleWords(
            "glow",
            """
            lantern candle lamp torch moon star bonfire firefly campfire rainbow window comet
            lighthouse matchstick
            """),
    ]
}
