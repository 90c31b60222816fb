"""Finds the nouns of captions, by a table and a few rules instead of a tagger.

A noun counts at three levels. As a *noun* it is itself, in the singular. As a *thing* it is the
same as its synonyms (a cyclist is a rider). As an *object*, for CHAIR and off-image answers, a man
is a person: an answer may say "a man" where a caption says "a person".
"""

from collections import Counter
from collections.abc import Callable, Iterable

from .caption_words import word_set, words

# The words that head noun phrases in captions of Flickr8k's training photos 8 times or more. A line
# is one thing: `object: thing = other words for it`.
THINGS = """
person: person = someone human individual pedestrian onlooker adult people folk figure
person: man = guy gentleman male father dad men fella bloke grandfather groom
person: woman = lady female mother mom women bride bridesmaid grandmother mum
person: boy
person: girl = daughter
person: child = kid children toddler youngster kiddo son
person: baby = infant newborn babies
person: teenager = teen youth adolescent
person: crowd = audience spectator
person: group
person: family = parent sibling brother sister
person: couple
person: friend
person: team = teammate
person: player = footballer quarterback goalie athlete catcher pitcher batter cricketer opponent
person: runner = jogger sprinter
person: rider = biker cyclist bicyclist motorcyclist bicycler racer jockey motorist driver
person: skateboarder = skater rollerblader
person: skier
person: snowboarder
person: surfer = windsurfer wakeboarder waterskier
person: swimmer = diver
person: climber = hiker backpacker mountaineer
person: dancer = ballerina cheerleader gymnast
person: musician = guitarist drummer singer band
person: performer = clown actor artist entertainer
person: wrestler = boxer fighter
person: worker = employee laborer
person: officer = policeman police cop guard soldier fireman firefighter
person: fisherman
person: vendor
person: photographer
person: cowboy
person: referee = umpire
person: student
dog: dog = puppy pup doggy canine hound mutt greyhound poodle collie beagle labrador retriever lab
dog: dog = terrier husky shepherd bulldog dalmatian dalmation doberman pitbull rottweiler pug
dog: dog = dachshund spaniel chihuahua
cat: cat = kitten kitty
horse: horse = pony stallion mare bronco
bird: bird = pigeon seagull gull duck goose swan eagle chicken parrot hawk heron flamingo pelican
bird: bird = crow owl
cow: cow = cattle calf bull ox
sheep: sheep = lamb goat
camel: camel
elephant: elephant
bear: bear
deer: deer = antelope elk
monkey: monkey = ape
tiger: tiger = lion leopard
squirrel: squirrel
rabbit: rabbit = bunny
fish: fish = shark dolphin whale
snake: snake = lizard turtle
insect: insect = bee butterfly bug spider
animal: animal = pet creature
bicycle: bicycle = bike bmx tricycle unicycle
motorcycle: motorcycle = motorbike dirtbike scooter moped
car: car = automobile jeep suv taxi sedan racecar
truck: truck = van pickup lorry firetruck
bus: bus
train: train = subway tram locomotive
boat: boat = ship sailboat rowboat yacht ferry watercraft
canoe: canoe = kayak raft
airplane: airplane = plane jet aircraft helicopter parachute glider
atv: atv = snowmobile quad wheeler
vehicle: vehicle
cart: cart = wagon carriage stroller pram sled sleigh wheelchair
skateboard: skateboard
surfboard: surfboard = wakeboard bodyboard
snowboard: snowboard
ski: ski
skate: skate = rollerblade rollerskate
ball: ball = basketball football soccer baseball softball volleyball puck
frisbee: frisbee = disc
racket: racket = racquet tennis
bat: bat = club
net: net
goal: goal = hoop
helmet: helmet = hardhat
rope: rope = cable string cord tightrope
leash: leash = collar harness muzzle
toy: toy = doll teddy
balloon: balloon
kite: kite
bubble: bubble
swing: swing
slide: slide
trampoline: trampoline
playground: playground = playpen
ramp: ramp = halfpipe
hurdle: hurdle = obstacle barrier
stick: stick = branch twig
log: log = stump
shirt: shirt = tshirt t-shirt jersey sweater sweatshirt hoodie blouse top
jacket: jacket = coat parka vest raincoat
dress: dress = gown skirt tutu robe
pants: pants = jeans trousers shorts overalls
suit: suit = tuxedo uniform costume outfit wetsuit tracksuit jumpsuit clothing clothes attire
swimsuit: swimsuit = bikini trunks
hat: hat = cap beanie headband bandanna headscarf hood
shoe: shoe = boot sneaker sandal heel
scarf: scarf = necklace tie
glove: glove = mitten
glasses: glasses = sunglasses goggles eyeglasses
mask: mask = makeup wig
bag: bag = backpack purse luggage suitcase basket bucket sack
umbrella: umbrella = parasol
hair: hair = beard mustache mohawk ponytail pigtail dreadlocks
face: face = head smile cheek chin
mouth: mouth = tongue tooth teeth lip
eye: eye
nose: nose
ear: ear
hand: hand = finger thumb fist
arm: arm = shoulder elbow
leg: leg = knee
foot: foot = feet paw
tail: tail
tattoo: tattoo
camera: camera = tripod
phone: phone = cellphone telephone
computer: computer = laptop screen
television: television = tv
guitar: guitar = violin instrument
drum: drum
piano: piano = keyboard
microphone: microphone
book: book = newspaper magazine paper
sign: sign = banner poster billboard
flag: flag
painting: painting = mural graffiti drawing
statue: statue = sculpture monument
gun: gun = rifle sword
knife: knife
cigarette: cigarette = cigar pipe
food: food = meal sandwich pizza bread meat fruit apple banana vegetable hamburger noodle soup
food: food = salad snack lunch dinner watermelon
cake: cake = dessert cookie candy pie cupcake
drink: drink = beer wine coffee beverage soda juice
cup: cup = mug glass
bottle: bottle = can
plate: plate = bowl dish
flower: flower = tulip rose
tree: tree = trunk
bush: bush = shrub hedge foliage
leaf: leaf = leaves
plant: plant = weed vine
grass: grass = lawn turf
field: field = meadow pasture
park: park
yard: yard = backyard courtyard garden
forest: forest = woods jungle
hill: hill = hillside slope mound
mountain: mountain = cliff peak mountainside mountaintop ridge canyon valley
rock: rock = boulder stone pebble
sand: sand = dune
desert: desert
dirt: dirt = mud dust gravel soil
snow: snow = snowbank snowball
ice: ice = rink
water: water
ocean: ocean = sea
wave: wave = surf
beach: beach = shore shoreline coast
lake: lake = pond
river: river = stream creek rapids
waterfall: waterfall
pool: pool
fountain: fountain = sprinkler
puddle: puddle
splash: splash = spray
sky: sky
sun: sun = sunset sunlight sunrise
cloud: cloud
rain: rain = storm
night: night
fire: fire = flame campfire bonfire
smoke: smoke
shadow: shadow = silhouette reflection
street: street = road highway intersection crosswalk alley
sidewalk: sidewalk = pavement curb walkway boardwalk
path: path = trail pathway
track: track = racetrack racecourse
city: city = town skyline
building: building = skyscraper church tower hut barn
house: house = home cabin
store: store = shop market mall marketplace
restaurant: restaurant = cafe diner
stadium: stadium = arena
gym: gym
court: court
stage: stage
station: station
bridge: bridge = overpass
tunnel: tunnel
wall: wall
fence: fence = railing rail handrail gate
stairs: stairs = step staircase stairway escalator
door: door = doorway
window: window
roof: roof = balcony rooftop
floor: floor = carpet rug
ground: ground
room: room
kitchen: kitchen
bathroom: bathroom = bathtub shower
bed: bed = pillow blanket
chair: chair = seat stool
bench: bench = bleacher
couch: couch = sofa
table: table = desk counter
tent: tent
pole: pole = post
ladder: ladder
box: box = container crate
tire: tire = wheel
mirror: mirror
towel: towel
candle: candle
dock: dock = pier deck
crane: crane
machine: machine = tractor
cage: cage
race: race = marathon
game: game = match
parade: parade
party: party = wedding festival carnival
concert: concert
coaster: coaster
"""

# Words that are often verbs or adjectives. They are nouns only after a determiner, a number,
# another adjective, a noun that goes with them, or a preposition.
AMBIGUOUS = word_set(
    "swing slide park race train wave surf fish drink dress bat paddle kayak skate ski snowboard "
    "skateboard ride bike club fire top tie pipe glass can step match smoke splash spray rain face "
    "head hand guard post tire pool plant rose guide bear duck crow fly leaves crowd "
    "couple group lab hood string muzzle cable shower water home orange deck skis"
)
BEFORE_A_NOUN = word_set(
    "a an the his her their its my our your this that these those some any no each every another "
    "one two three four five six seven eight nine ten several many few both all other of in on at "
    "with by near into onto from over under behind beside through across around along past against "
    "and for little big small large young old older red blue green yellow black white brown orange "
    "pink purple grey gray tan dark bright long short tall high wet dirty clear open wooden metal "
    "empty crowded public dirt mountain soccer tennis city cement concrete stone grassy snowy "
    "sandy swimming race water playground beach skate"
)
IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "mice": "mouse",
    "geese": "goose",
    "feet": "foot",
    "teeth": "tooth",
    "leaves": "leaf",
    "knives": "knife",
    "wolves": "wolf",
    "calves": "calf",
    "scarves": "scarf",
}


def singular(word: str) -> str:
    """A plural's singular, by spelling; other words unchanged."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + ("ie" if word in ("cookies", "movies") else "y")
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1]


def _table() -> tuple[dict[str, str], dict[str, str]]:
    thing_of, object_of = {}, {}
    for line in THINGS.strip().splitlines():
        kind, _, rest = line.partition(": ")
        thing, _, others = rest.partition(" = ")
        object_of[thing] = kind
        for word in (thing, *others.split()):
            thing_of.setdefault(word, thing)
    return thing_of, object_of


THING_OF, OBJECT_OF = _table()
SAME = {"guy": "man", "lady": "woman", "kid": "child", "puppy": "dog", "pup": "dog"}


def nouns(text: str) -> list[str]:
    """The nouns of a text that are in the table, in order, in the singular."""
    found, said = [], words(text)
    for n, word in enumerate(said):
        one = word if word in THING_OF else singular(word)
        if one not in THING_OF:
            continue
        if not AMBIGUOUS.isdisjoint((word, one)) and n and said[n - 1] not in BEFORE_A_NOUN:
            continue
        one = IRREGULAR.get(one, one)
        found.append(SAME.get(one, one))
    return found


def things(text: str) -> list[str]:
    return [THING_OF[noun] for noun in nouns(text)]


def objects(text: str) -> list[str]:
    return [OBJECT_OF[thing] for thing in things(text)]


def _in_captions(captions: Iterable[str], of: Callable[[str], list[str]]) -> Counter[str]:
    """Name -> the number of captions that have it."""
    return Counter(name for caption in captions for name in set(of(caption)))


def main_nouns(captions: Iterable[str]) -> frozenset[str]:
    """The nouns that most captions have; all of them in a tie."""
    found = _in_captions(captions, nouns)
    most = max(found.values(), default=0)
    return frozenset(noun for noun, count in found.items() if count == most)


def main_things(captions: Iterable[str]) -> frozenset[str]:
    """The things that two or more captions name: what the picture shows."""
    return frozenset(t for t, count in _in_captions(captions, things).items() if count > 1)


def all_objects(captions: Iterable[str]) -> frozenset[str]:
    return frozenset(name for caption in captions for name in objects(caption))
