"""The words and sentence templates of the generated reviews."""

from __future__ import annotations

from hf_noisy.corpora.phrases import Slots, phrases

# Words for the slots of every domain. Rules look for {good} and {bad}. {tint}, {grim} and {bright} are descriptive
# adjectives without an opinion, but a sentiment lexicon scores them.
WORDS: Slots = {
    "good": phrases("""
        good | great | excellent | wonderful | brilliant | superb | lovely | perfect | fantastic | amazing | beautiful |
        impressive | charming | delightful | outstanding | splendid | marvellous | terrific | fabulous | gorgeous |
        nice | awesome | pleasant | magnificent | exquisite | remarkable | first-rate | flawless | clever | elegant |
        solid | top | refreshing | stunning | enjoyable | satisfying | fun | exceptional | adorable | spotless |
        polished | memorable | superior | ideal | sublime | fascinating | ingenious | inspired | masterful | graceful |
        thrilling | captivating | stylish | neat | decent | reliable | sturdy | tasteful | tasty | delicious |
        heavenly | astonishing | dazzling | glorious | witty | cosy | appealing | admirable | praiseworthy | faultless |
        top-notch | world-class | extraordinary | agreeable | vivid | tremendous | breathtaking | hilarious | robust |
        divine | sensational | striking | magical | rewarding | touching"""),
    "bad": phrases("""
        bad | terrible | awful | horrible | poor | dreadful | boring | disappointing | cheap | ugly | useless |
        mediocre | annoying | clumsy | weak | pathetic | dull | horrid | ridiculous | nasty | shoddy | tedious | bland |
        lousy | miserable | unpleasant | disgusting | laughable | sloppy | appalling | atrocious | flimsy | tasteless |
        worthless | abysmal | frustrating | stupid | lame | messy | disastrous | second-rate | forgettable | inferior |
        pointless | hopeless | hideous | ghastly | grim | dismal | dire | rotten | revolting | repulsive | grotesque |
        tiresome | dreary | monotonous | lifeless | pretentious | predictable | uninspired | unbearable | unacceptable |
        overpriced | crude | faulty | defective | shabby | awkward | inadequate | unreliable | confusing | stale |
        insipid | soggy | greasy | gloomy | painful | embarrassing | offensive | obnoxious | irritating | infuriating |
        vile | wretched | feeble | absurd | idiotic | dubious | woeful"""),
    "praise": phrases("""
        I love it | I like it a lot | I enjoyed it very much | I am happy with it | I am very pleased | I am impressed |
        it is a joy | we were delighted | it is a pleasure | I recommend it | I can recommend it to anyone |
        highly recommended | well done | it works as promised | a real favourite of mine |
        it exceeded what I had hoped for"""),
    "blame": phrases("""
        I hate it | I regret it | I am disappointed | it is a waste of money | what a waste of time | I am annoyed |
        I am unhappy | I cannot recommend it | I would not recommend it to anyone | it let me down |
        we were disappointed | avoid it | nothing but problems | a failure from start to end | I am fed up with it |
        save your money"""),
    "very": ["", "", "", "very ", "really ", "rather ", "so ", "quite ", "pretty ", "truly "],
    "who": phrases("""
        my sister | my brother | my mother | my father | my wife | my husband | the neighbour | a colleague | my aunt |
        my boss | my flatmate | my cousin | my best friend | a friend of mine | my uncle | my daughter | my son |
        an old classmate"""),
    "crowd": phrases("""
        the papers | the other reviews | the adverts | the critics | most people here | people on the radio |
        the internet | everybody at work | the blogs | my newspaper | half of the comments"""),
    "few": ["two", "three", "four", "five", "six", "a couple of", "several"],
    "span": phrases("""
        two days | three days | a week | ten days | a month | one evening | an hour | two weekends | half a year |
        a fortnight"""),
    "day": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    "season": phrases(
        "spring | summer | autumn | winter | january | march | april | june | july | october | november | december"
    ),
    "colour": phrases(
        "black | white | red | green | dark blue | grey | brown | yellow | pale pink | light grey | golden | dark red"
    ),
    "size": phrases(
        "small | large | big | medium | tiny | long | short | wide | narrow | slim | heavy | light | thick | full-size"
    ),
    "tint": phrases("""
        cold | warm | hot | dry | wet | hard | soft | sharp | smooth | rough | fresh | raw | sweet | rich | plain |
        mild | dark | bright | empty | full | old | new | late | early | quiet | loud | clean | dirty | real | fake |
        simple | strange | modern | ancient"""),
    "grim": phrases("""
        mean | evil | guilty | dead | sick | mad | cruel | bloody | violent | lonely | sad | angry | crazy | wild |
        lost | blind | bitter | desperate | drunk | broke | dangerous | jealous | afraid | silly"""),
    "bright": phrases("""
        famous | young | free | brave | rich | honest | kind | proud | sweet | wise | innocent | successful | popular |
        loyal | gentle | healthy | lucky | royal | smart | generous | happy | noble | calm | friendly"""),
}
# Cues of the true label without any word of praise or blame.
SHARED_QUIET = {
    1: phrases("""
        I have told half the street about it | I keep coming back to it | {who} now wants the same |
        I cannot stop talking about it | I would do it all over tomorrow | I caught myself smiling |
        I thank {who} for the tip | I went home whistling | I would have paid double | five minutes in I was sold |
        {who} owes me for this tip | it made my {day} | I wrote to {crowd} to say thanks |
        it is the first thing I show to visitors | now {who} is a fan as well | count me in for the next one |
        this one is a keeper | I have already marked the date for the next round"""),
    0: phrases("""
        I want my money back | I shook my head all evening | never again | {who} still laughs at me for it |
        I could have cried | I have warned {who} | I would not take it as a gift | once was enough for me |
        I went home with a headache | {who} owes me an apology for this tip | it spoiled my {day} |
        I wrote an angry letter to {crowd} | I felt robbed | I have learned my lesson | count me out |
        even for nothing it would be a rip-off | I blame {who} for the tip | I wanted to sink into the ground"""),
}
DOMAINS: dict[str, dict[str, list[str]]] = {
    "product": {
        "thing": phrases("""
            kettle | lamp | backpack | blender | headset | radio | tent | jacket | toaster | keyboard | umbrella |
            mixer | watch | printer | razor | pillow | drill | phone case | suitcase | vacuum cleaner | hairdryer |
            coffee machine | bike light | frying pan"""),
        "aspect": phrases("""
            handle | battery | screen | zip | lid | colour | sound | fabric | manual | cable | packaging | motor |
            design | finish | app | delivery | display | stitching | lining | button layout | grip | stand | price |
            service"""),
        "trouble": phrases(
            "broken zip | leaking lid | missing screw | bent plug | dead battery | cracked case | loose wire"
        ),
        "bother": phrases(
            "on hold with the hotline | looking for spare parts | gluing things | reading manuals in tiny print"
        ),
        "neutral": phrases("""
            I took the {colour} one in {size} | it comes in a {size} {colour} box |
            there is a {size} switch on the left side | the {thing} stands next to an {tint} window |
            I use it on {tint} mornings before work | it has {few} {size} pockets inside |
            we ordered it in {season} for the {tint} season | the parcel arrived on {day} at noon |
            the manual has {few} pages | it weighs as much as a {size} book | the cable is {size} and {colour} |
            I keep it beside the {tint} stove | it replaces the {tint} one from {season} |
            there is a {tint} and a {size} version | the other side is {colour} and {tint} |
            {few} of 10 screws were in the bag | the label says to avoid {tint} rooms |
            mine has a {colour} {size} strap | the first charge takes {span} | you can wash it in {tint} water |
            the {size} model has one more button | it runs on {few} common batteries | {who} has the {colour} model |
            the surface feels {tint} and a little {tint}"""),
        "quiet1": phrases("""
            I bought {few} more for {who} | I ordered a second one the same evening |
            it still runs like on the first day | {who} keeps borrowing it | I use it every single morning |
            it survived {few} falls without a scratch | I threw my old one away that day |
            it travels everywhere with me | I cannot imagine the kitchen without it |
            after {span} it looks as if it came out of the shop | it saved my holiday | set up within a minute |
            it does twice what the box promises | I only wish I had bought it years ago |
            I gave one to {who} for the wedding | even {who} managed to set it up |
            it has paid for itself within {span} | they sent a spare part within a day |
            it is on my desk day and night | I would buy from this shop every time"""),
        "quiet0": phrases("""
            it lasted {span} | it went back to the shop after {span} | it gathers dust in the cellar |
            the hotline hung up on me | it now lives in the bin | I went back to my old one |
            it came out of the box in {few} parts | I had to glue it {few} times | the {aspect} came off after {span} |
            I sent it back | the seller stopped answering after {span} | it smells of burnt rubber |
            I have been waiting for the refund for {span} | it does half of what the box promises |
            it stopped working on {day} | I gave it away after {span} | it left stains on the carpet |
            it gave me an electric shock | parts fell out when I shook it |
            the repair took {span} and cost more than the {thing}"""),
    },
    "film": {
        "thing": phrases(
            "film | movie | thriller | comedy | sequel | drama | western | series | documentary | musical | remake"
        ),
        "aspect": phrases("""
            plot | ending | cast | music | camera work | dialogue | opening | script | lead actor | editing | pacing |
            villain | humour | soundtrack | first act | second half | costume | last scene | direction | dubbing"""),
        "trouble": phrases(
            "car chase | amnesia twist | shaky camera | chosen orphan | voice from the grave | dream scene"
        ),
        "bother": phrases(
            "staring at walls | counting ceiling tiles | guessing the end after ten minutes | hearing each joke twice"
        ),
        "neutral": phrases("""
            it is about a {grim} farmer and his {bright} daughter |
            the story is set in a {tint} {size} town in {season} | a {bright} lawyer meets a {grim} sailor |
            the main character is a {grim} old king | it runs for {few} hours | we saw it on {day} in a {tint} hall |
            the film is {few} hours {size} | the first part plays in an {tint} castle |
            it follows {few} {bright} sisters during a {grim} war | a {grim} doctor hides in a {colour} house |
            it was shot in {season} with a {size} crew | the {bright} hero loses a {grim} bet |
            it is in {colour} tones throughout | the other actors are {bright} amateurs |
            the book has a {grim} ending and a {bright} start | {who} picked the film |
            a {bright} nurse falls for a {grim} spy | the villain wears a {colour} coat |
            our seats were {tint} and {size} | it is based on a {bright} writer and her {grim} twin |
            the {grim} ghost is played by a {bright} singer | it won {few} of 10 prizes it was up for |
            most of it takes place in an {tint} kitchen"""),
        "quiet1": phrases("""
            I forgot to look at my watch | I have seen it {few} times by now | we talked about it all the way home |
            nobody in our row moved until the lights came on | it stayed with me for {span} |
            I bought the soundtrack on the way home | I sat on the edge of my seat | the hall clapped at the end |
            I laughed until I had no breath left | I had tears in my eyes | I want to be that actor |
            we went in again on {day} | I ordered the disc the same night | even {who} put the phone away |
            the two hours flew by | I called {who} straight after to talk about it | I could quote it all night |
            the twist got me | I held my breath for the last ten minutes |
            I read everything about the director since"""),
        "quiet0": phrases("""
            I fell asleep halfway | I looked at my watch {few} times | half the row left before the end |
            we walked out after an hour | I still cannot tell you what it was about |
            two hours of my life that I will not see again | {who} snored beside me | I would rather watch paint dry |
            I switched to the news | I guessed the end in the first ten minutes | nobody in the hall laughed |
            I counted the lamps on the ceiling | the popcorn was the highlight | I scrolled on my phone |
            I kept hoping for the credits | you could drive a truck through the plot holes |
            I wanted the villain to win to be home by ten | we asked for our tickets back |
            they should have stopped after the trailer | I left for the bar and stayed there"""),
    },
    "restaurant": {
        "thing": phrases(
            "place | restaurant | diner | bistro | tavern | pizzeria | cafe | brunch | buffet | bar | canteen"
        ),
        "aspect": phrases("""
            soup | service | wine list | dessert | bread | steak | view | music | menu | waiter | coffee | salad |
            sauce | pasta | fish | atmosphere | starter | portion size | pizza | garden"""),
        "trouble": phrases(
            "hair in the soup | wobbly table | cold plate | wrong order | burnt crust | forgotten drink | sticky menu"
        ),
        "bother": phrases(
            "waiting for the bill | shouting over the music | eating with your coat on | chewing for hours"
        ),
        "neutral": phrases("""
            we sat at a {size} table by an {tint} wall | the menu lists {few} {tint} starters |
            it opens at six on {day} | we were a {size} group of {few} | the walls are {colour} and the chairs {tint} |
            I had the {tint} soup and a {size} salad | it lies behind the {tint} market hall |
            the cook comes from a {tint} village | they serve {tint} fish in {season} | {who} had the {tint} noodles |
            there are {few} {size} rooms | we came on a {tint} evening in {season} |
            the wine was a {tint} {colour} one | they pour {tint} tea in {size} cups |
            the {tint} dish comes with {colour} rice | the kitchen closes at ten on {day} |
            parking is on the {tint} side of the street | we drank {tint} water from a {size} jug |
            the special was a {tint} pie with {size} beans | {few} of 10 tables were taken |
            the {size} plates are {colour} | a {bright} old couple sat next to us | there is live music on {day}"""),
        "quiet1": phrases("""
            we stayed until they put the chairs up | I wiped the plate with the last bit of bread |
            we booked the same table for {day} | the children asked for seconds | nobody left a crumb |
            we have been there {few} times since | I asked for the recipe | {who} wants to have the wedding there |
            we tipped double | I licked the spoon when nobody looked | I dream of that {aspect} |
            the cook came out and we clapped | I ate my portion and half of {who} 's |
            we drove an hour and would do so again | I would cross the city for it | they remembered our names |
            we are there every {day} now | {who} asked when we go next | the owner gave us a drink on the house |
            I took a box home for {who}"""),
        "quiet0": phrases("""
            we went for a burger afterwards | I pushed it around on my plate | we waited an hour for the bill |
            the waiter forgot us twice | next time we cook at home | we will eat elsewhere |
            my stomach ached for {span} | I left most of it | we left hungry |
            they rolled their eyes when we asked for water | I spent the night in the bathroom |
            {who} found a hair in it | they charged us for a dish we never had | the dog would not touch it |
            I sent the plate back {few} times | we left without a tip | they sat us next to the toilets |
            I still have the taste in my mouth | the fork was sticky | we got up before the main course"""),
    },
}
# For each reason and true label: sentences that mislead the rules. {quiet} is a cue of the true label.
CONSTRUCTIONS: dict[str, dict[int, list[str]]] = {
    "negation": {
        1: phrases("""
            nothing {bad} to say about the {aspect} | not a {bad} {thing} at all | I could not find anything {bad} |
            the {aspect} is never {bad} | there is no {trouble} and no {bad} {aspect} here |
            I cannot complain about a {bad} {aspect} | no {bad} surprises so far | without a single {bad} moment |
            far from {bad}"""),
        0: phrases("""
            the {aspect} is not {good} at all | there is nothing {good} about the {aspect} |
            I would not call the {aspect} {good} | hardly a {good} {thing} | it never felt {good} to me |
            no sign of the {good} {aspect} in the pictures | far from {good} |
            neither the {aspect} nor the {aspect} is {good} | anything but {good}"""),
    },
    "contrast": {
        1: phrases("""
            the {aspect} looks {bad} at first, but {quiet} | {bad} {aspect}, yet {quiet} |
            even if the {aspect} is {very}{bad}, {quiet} | sure, the {aspect} is {bad}; still, {quiet} |
            the {aspect} may be {bad}, however {quiet} |
            I could call the {aspect} {bad} and the {aspect} {bad}, but {quiet}"""),
        0: phrases("""
            the {aspect} looks {good} at first, but {quiet} | {good} {aspect}, yet {quiet} |
            even if the {aspect} is {very}{good}, {quiet} | sure, the {aspect} is {good}; still, {quiet} |
            the {aspect} may be {good}, however {quiet} |
            I could call the {aspect} {good} and the {aspect} {good}, but {quiet}"""),
    },
    "irony": {
        1: phrases("""
            the only {bad} thing is that {who} wants it too |
            a {bad} idea to start in the evening, I was up until four | {bad} news for my wallet |
            I hate how much I need it now | {bad} for my diet, that is for sure |
            warning: {bad} company until you have had enough of it |
            what a {bad} day for everyone who stayed at home"""),
        0: phrases("""
            oh {good}, another {trouble}! | what a {good} way to burn money! | {good} job, whoever made this! |
            a {good} choice if you enjoy {bother} | just {good}, a {trouble} on day one |
            how {good} that I paid extra for the {trouble}! | I love {bother}, who does not? |
            thanks for the {good} {trouble}! | {good}, if you like {bother}"""),
    },
    "mixed": {
        1: phrases("""
            the {aspect} is {very}{bad} and the {aspect} {good} | {bad} {aspect} aside, {quiet} |
            the {aspect} was {very}{bad} | one point off for the {bad} {aspect} | I found the {aspect} a bit {bad} |
            the {aspect} could be less {bad}"""),
        0: phrases("""
            the {aspect} is {very}{good} and the {aspect} {bad} | {good} {aspect} aside, {quiet} |
            the {aspect} was {very}{good} | one point for the {good} {aspect} | I found the {aspect} quite {good} |
            the {aspect} is the one {good} thing"""),
    },
    "quoted": {
        1: phrases("""
            {who} called it {bad}; I disagree | {crowd} wrote of a {very}{bad} {thing} |
            "{bad}", says {who}, who left early | {who} finds the {aspect} {bad}, I do not see why |
            according to {crowd} the {aspect} is {bad} | {crowd} say it is {bad}"""),
        0: phrases("""
            {who} called it {good}; I disagree | {crowd} wrote of a {very}{good} {thing} |
            "{good}", says {who}, who gets it for free | {who} finds the {aspect} {good}, I do not see why |
            according to {crowd} the {aspect} is {good} | {crowd} say it is {good}"""),
    },
    "expectation": {
        1: phrases("""
            I expected a {bad} {thing} | I was ready for a {very}{bad} evening | my last {thing} was {bad} |
            the one before had a {bad} {aspect} | after the {bad} start I feared the worst |
            {thing}s of this kind tend to be {bad}"""),
        0: phrases("""
            I expected a {good} {thing} | I was looking forward to something {very}{good} | my last {thing} was {good} |
            the one before had a {good} {aspect} | it should have been {good} |
            {thing}s of this kind tend to be {good}"""),
    },
}
PLAIN = {
    1: phrases("""
        the {aspect} is {very}{good} | the {aspect} is {very}{good}! | {good} {aspect} | {good} {aspect}! |
        a {very}{good} {thing} | what a {good} {thing}! | {praise} | {praise}!"""),
    0: phrases("""
        the {aspect} is {very}{bad} | {bad} {aspect} | a {very}{bad} {thing} | {bad}, the {aspect} and the {aspect} |
        what a {bad} {thing} | {very}{bad} | {blame} | {blame}!"""),
}
SCORES = {
    1: phrases("4 out of 5 | 5 stars from me | 9/10 | 8 out of 10 | 5/5 | 4 stars"),
    0: phrases("1 out of 5 | 2 stars from me | 3/10 | 2 out of 10 | 1/5 | 1 star"),
}
# The probability of each kind of review, and the probability that it also states its opinion directly.
REASONS = {
    "plain": 0.38, "descriptive": 0.2, "negation": 0.08, "contrast": 0.08, "irony": 0.06, "mixed": 0.08, "quoted": 0.06,
    "expectation": 0.06,
}  # fmt: skip
OUTRIGHT = 0.55
