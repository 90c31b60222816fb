"""Closed word lists of the English of captions and short texts, in lowercase."""


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = word_set(
    "a an the this that these those some any each every another both several many few all no "
    "my your his her its our their whose"
)
PREPOSITIONS = word_set(
    "of in on at by with from to into onto over under through near beside behind between among "
    "around across along above below beneath toward towards against inside outside off up down "
    "past amid atop upon within without during beyond underneath next like as for via alongside "
    "amongst opposite"
)
PRONOUNS = word_set(
    "i me we us you he him she it they them himself herself itself themselves who whom which what "
    "someone somebody something everyone everybody everything anyone anything nothing nobody one "
    "ones mine yours hers ours theirs other others there here"
)
AUXILIARIES = word_set(
    "is are was were be been being am has have had having do does did will would can could may "
    "might must shall should isn't aren't wasn't weren't don't doesn't didn't can't couldn't "
    "won't wouldn't shouldn't hasn't haven't hadn't it's he's she's they're there's that's i'm "
    "we're you're who's what's let's let i've we've you've they've i'll you'll he'll she'll "
    "we'll they'll i'd you'd"
)
CONJUNCTIONS = word_set(
    "and or but nor so yet while when where whether if because although though since until unless "
    "than whilst after before once"
)
ADVERBS = word_set(
    "very too also just only even still again away together apart almost quite rather really not "
    "now then soon later ever never always often sometimes already how why more most less least "
    "much well back out ahead else instead maybe perhaps forth forward backward backwards upward "
    "downward upside indoors outdoors outside nearby far close alone aside forever today tonight "
    "yesterday tomorrow"
)
FUNCTION = DETERMINERS | PREPOSITIONS | PRONOUNS | AUXILIARIES | CONJUNCTIONS | ADVERBS

NUMBERS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30,
    "forty": 40, "fifty": 50, "hundred": 100, "thousand": 1000, "dozen": 12, "couple": 2,
    "pair": 2, "trio": 3, "duo": 2, "both": 2, "twins": 2, "quartet": 4,
}  # fmt: skip

COLOURS = word_set(
    "black white red blue green yellow orange brown grey pink purple tan gold silver beige maroon "
    "turquoise violet navy teal blond golden"
)
ADJECTIVES = COLOURS | word_set(
    "young old little small big large tall short long wide narrow huge tiny giant great good nice "
    "bad new older younger elderly adult teenage male female blonde bald hairy furry fluffy shaggy "
    "skinny fat lean thin thick heavy light dark bright pale dirty muddy sandy grassy snowy rocky "
    "wooded wooden metal plastic concrete dry wet deep shallow steep high low top bottom left "
    "right front back rear first second third last same different similar other own empty full "
    "open closed busy crowded quiet loud happy sad angry funny serious calm proud brave gentle "
    "beautiful pretty lovely colorful colourful striped plaid checkered spotted patterned bare "
    "barefoot shirtless naked asian african american indian chinese english german eastern western "
    "public private formal casual military urban rural indoor outdoor sunny cloudy rainy foggy hot "
    "warm cold cool fresh delicious tasty sweet smooth rough sharp soft hard solid fast slow quick "
    "strong weak safe ready various single double whole entire next several fellow bearded "
    "uniformed hooded leafy icy frozen clear cute playful lively joyful cheerful sleepy curious "
    "lone alone alive aware able likely sure free professional amateur local modern ancient rich "
    "poor simple perfect special wild tame blurry multicolored inflatable airborne upright intense "
    "red-haired alike live foamy shiny hilly dusty dense lush vast late early midair brunette"
)
# Words in -ing and -ed that name things or qualities, not actions.
NOT_VERBS = word_set(
    "building ceiling evening morning clothing railing wing ring king string spring thing ceiling "
    "wedding something everything anything nothing during pudding icing crossing landing painting "
    "drawing opening sled red bed shed bleed weed seed speed feed reed breed steed wicked sacred "
    "naked hundred kindred crooked ragged rugged beloved colored coloured haired tiled wooded "
    "lightning sibling duckling pudding dumpling stocking earring covering paving awning clearing "
    "setting frosting topping dressing serving filling sterling herring inning darling"
)
# Finite forms that captions and short texts use; -s and irregular past forms.
VERBS = word_set(
    "runs jumps sits stands walks plays looks rides holds wears leaps climbs swims throws catches "
    "kicks hits pulls pushes rests lies lays sleeps eats drinks smiles laughs cries sings dances "
    "poses watches waits works reads writes talks speaks says tells asks shows gives takes makes "
    "goes comes gets puts keeps leaves lets begins starts stops turns moves falls flies glides "
    "slides skates skis surfs sails rows paddles floats splashes sprays bites chews licks sniffs "
    "barks chases follows leads carries lifts drops digs drives crosses hangs leans kneels bends "
    "crouches performs competes races fights wrestles hugs kisses holds touches reaches points "
    "waves looks stares gazes peers sees seems appears feels tastes smells sounds remains stays "
    "becomes brings uses tries enjoys loves likes wants needs knows thinks means helps joins meets "
    "enters exits features includes contains surrounds covers fills shines glows sparkles grows "
    "blooms stretches extends rises sets wanders roams explores dreams hopes wonders offers adds "
    "gives creates captures depicts celebrates prepares cooks bakes serves stirs mixes pours cuts "
    "paints draws builds fixes sells buys pays plays practices trains rolls spins flips swings "
    "bounces balances tosses dives dunks dribbles grabs grips holds shakes rubs wags trots gallops "
    "hops skips strolls hikes jogs sprints dashes darts rushes hurries lands lives belongs leads "
    "ran sat stood held wore swam threw caught lay slept ate drank sang took made went came got "
    "kept left began fell flew slid drove rode spoke said told gave saw felt became brought "
    "thought knew meant met grew rose shone wrote read built sold bought hung knelt bent led fed "
    "found lost won shook stuck struck swung spun dug hid bit broke chose drew rang ran wound woke "
    "bark barks jump run sit stand walk play look ride hold wear smile wait watch swim climb pose "
    "leap race fight chase stare lie rest eat drink dance sing talk work live enjoy try make take "
    "go come get gather seem appear perform compete float fly surf ski hike skate gaze share fill "
    "cover surround line"
)
PLAIN_PAST = word_set("sat stood ran lay held wore leapt")

# Words that fit every picture, whatever it shows.
FRAME = word_set(
    "picture image photo photograph shot scene view background foreground middle midst center "
    "centre side top bottom front back left right corner edge distance rest part way kind type "
    "sort lot group pair couple bunch number set variety piece end place area spot surroundings "
    "color colour thing object day time moment"
)

# If a word on the right is true, the word on the left is true too, but not the reverse.
BROADER = {
    "person": "man woman boy girl child kid lady guy baby toddler teenager adult player skier "
    "surfer climber rider skater skateboarder snowboarder cyclist biker hiker runner swimmer "
    "worker someone somebody people fan spectator dancer performer athlete racer cowboy bride "
    "groom soldier officer policeman musician artist student crowd group friend family couple "
    "tourist kayaker wrestler cheerleader gymnast acrobat goalie pitcher batter referee human "
    "individual youth driver pedestrian bicyclist motorcyclist wakeboarder bystander",
    "child": "boy girl toddler baby youngster youth",
    "adult": "man woman lady guy father mother",
    "man": "guy gentleman cowboy groom policeman father fisherman businessman male",
    "woman": "lady bride mother female",
    "boy": "son",
    "girl": "daughter",
    "baby": "infant toddler",
    "athlete": "player skier surfer climber skater skateboarder snowboarder cyclist runner swimmer "
    "racer gymnast wrestler boxer goalie pitcher batter wakeboarder",
    "crowd": "audience spectator onlooker fan people",
    "animal": "dog puppy cat horse bird cow sheep duck goose elephant lion tiger bear monkey pony "
    "lamb goat rabbit deer greyhound poodle bulldog retriever terrier dalmatian collie",
    "pet": "dog puppy cat kitten rabbit",
    "dog": "puppy pup greyhound poodle bulldog retriever terrier dalmatian collie shepherd husky "
    "labrador hound pitbull canine dachshund chihuahua corgi beagle rottweiler doberman boxer "
    "spaniel",
    "bird": "duck goose swan pigeon seagull gull eagle parrot hawk",
    "horse": "pony stallion mare",
    "vehicle": "car truck bus van jeep motorcycle motorbike train tractor automobile",
    "water": "lake ocean sea river pool pond stream wave creek waterfall fountain puddle surf "
    "waters sprinkler",
    "plant": "tree bush flower grass shrub",
    "clothing": "shirt dress jacket coat pants shorts jeans hat sweater uniform suit vest t-shirt "
    "costume skirt outfit swimsuit jersey clothes hoodie",
    "clothes": "shirt dress jacket coat pants shorts jeans hat sweater uniform suit vest costume "
    "skirt outfit swimsuit jersey clothing",
    "outfit": "dress suit uniform costume clothing",
    "hat": "cap helmet beanie",
    "ground": "grass dirt sand snow pavement road sidewalk mud gravel floor soil",
    "toy": "ball frisbee doll stick",
    "body": "lake ocean sea river pool pond water",
    "food": "cake bread pizza sandwich fruit salad soup meat rice pasta meal hamburger hotdog ice",
    "instrument": "guitar drum violin piano trumpet flute saxophone",
    "furniture": "chair table couch sofa bench bed",
    "field": "grass meadow lawn yard pasture",
    "sport": "soccer football basketball baseball tennis hockey volleyball rugby",
    "game": "soccer football basketball baseball tennis hockey volleyball rugby match",
    "player": "goalie pitcher batter quarterback",
    "boat": "canoe kayak raft sailboat ship",
    "bike": "motorcycle motorbike",
    "shore": "beach",
    "hill": "slope mountain",
    "path": "trail sidewalk walkway",
    "air": "midair mid-air",
}  # fmt: skip
# Words for the same thing.
ALIKE = (
    "bike bicycle", "kid child", "lady woman", "guy man", "puppy pup", "ocean sea",
    "car automobile",
    "rock boulder stone", "street road", "jacket coat", "couch sofa", "grass lawn turf",
    "forest woods wood", "cap hat", "motorcycle motorbike", "cliff bluff", "frisbee disc",
    "sidewalk pavement", "path trail", "beach seashore shore shoreline", "pool swimming-pool",
    "stick twig branch", "photo photograph picture image", "person people human individual",
    "player sportsman", "trousers pants", "sneakers shoes", "sunglasses glasses shades",
    "hill slope hillside", "crowd audience", "cyclist bicyclist", "boat vessel", "mom mother",
    "dad father", "tee t-shirt tshirt shirt", "yard garden backyard", "infant baby", "bush shrub",
    "soccer football", "midair air mid-air", "hound dog", "stairs steps staircase stair step",
    "clothes clothing", "sweatshirt hoodie sweater", "swimsuit bikini swimwear", "snowboard board",
    "skateboard board", "surfboard board", "fence railing", "rail railing handrail",
    "toddler child",
)  # fmt: skip

# Dishes and cooked or baked food; fruit on a tree is not a dish.
FOOD = word_set(
    "cake cupcake pizza sandwich burger hamburger hotdog salad soup pasta noodle spaghetti rice "
    "bread toast pie cookie pancake waffle steak chicken fish sushi taco burrito omelet omelette "
    "egg bacon sausage meat curry stew donut doughnut muffin brownie pastry croissant coffee tea "
    "espresso cappuccino smoothie cocktail icecream pudding cheese potato fries vegetable shrimp "
    "seafood lobster dessert meal dish food snack breakfast lunch dinner barbecue"
)
# Things that nearly every description mentions if the photo shows them.
SALIENT = (
    "dog", "cat", "horse", "bird", "elephant", "bicycle", "motorcycle", "boat", "train", "bus",
    "guitar", "skateboard", "surfboard", "snowboard", "swing", "umbrella", "helicopter", "cow",
    "sheep", "swimming pool", "fountain", "wheelchair", "tractor", "piano",
)  # fmt: skip

FIRST_NAMES = word_set(
    "james john robert michael david william richard joseph thomas charles christopher daniel "
    "matthew anthony steven paul andrew joshua kenneth kevin brian george timothy ronald edward "
    "jason jeffrey ryan jacob gary nicholas eric jonathan stephen larry justin scott brandon "
    "benjamin samuel gregory alexander patrick raymond tyler dennis jerry aaron jose adam nathan "
    "henry zachary peter kyle noah ethan jeremy walter christian keith roger terry sean austin "
    "mary patricia jennifer linda elizabeth barbara susan jessica karen sarah lisa nancy betty "
    "sandra margaret ashley kimberly emily donna michelle carol amanda melissa deborah stephanie "
    "rebecca sharon laura cynthia dorothy amy kathleen angela shirley emma brenda pamela nicole "
    "anna samantha katherine christine helen debra rachel carolyn janet maria catherine heather "
    "diane olivia julie joyce victoria ruth virginia lauren kelly christina joan evelyn judith "
    "andrea hannah megan cheryl jacqueline martha madison teresa gloria sara janice ann kathryn "
    "abigail sophia frances jean alice judy isabella julia denise amber marilyn beverly danielle "
    "theresa sophie lily mia ella leo liam lucas oliver jack luke tom tim sam ben mike jim joe bob "
    "max lucy molly charlie buddy bella rex rover fido spot luna toby milo bailey coco jake alex"
)
# First names that are also words at the beginning of sentences.
NAMES_AND_WORDS = word_set("christian amber joy grace rose spot buddy jean jack max jerry sandy")

# Words that indicate another language; none is an English word.
FOREIGN = {
    "German": word_set(
        "der das und ist ein eine einen einem einer nicht auf mit den dem im zu für von auch sich "
        "wird sind hat ich wir sie es vor über unter aus bei nach wie oder aber steht sitzt läuft"
    ),
    "French": word_set(
        "le la les des est un une et dans avec sur pour qui que il elle ils pas du au aux ce cette "
        "sont son sa ses nous vous mais ou où très être été plus par sous devant"
    ),
    "Spanish": word_set(
        "el la los las un una unos unas y es en con por para que del al su sus se está están no "
        "lo como pero muy sobre hay más este esta corre perro hombre mujer niño niña"
    ),
    "Italian": word_set(
        "il lo la gli le un una uno e è di del della nel nella con per che sono si su dal dalla "
        "non questo questa come più anche ma"
    ),
    "Portuguese": word_set(
        "o a os as um uma e é em no na nos nas com por para que do da dos das se está ao não mais "
        "como mas seu sua"
    ),
    "Dutch": word_set(
        "de het een en is van op in met voor niet die dat zijn aan te er naar bij ook om door "
        "wordt staat zit loopt"
    ),
    "Indonesian": word_set(
        "yang dan di ini itu dengan untuk dari pada adalah seorang sebuah tidak"
    ),
}
