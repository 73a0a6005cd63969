"""Mathematics for the sample: questions with numbers drawn at random and answers that are computed."""

from __future__ import annotations

from fractions import Fraction
from math import comb, factorial, gcd, lcm, perm
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Problem = Callable[[Random], tuple[str, str]]

NAMES = ["Ada", "Ben", "Chloe", "Diego", "Elif", "Farid", "Grace", "Hana", "Ivan", "Jamal", "Kira", "Leo"]


# Word problems, as in grade school ----------------------------------------------------------------------------


def change(r: Random) -> tuple[str, str]:
    name, thing = (
        r.choice(NAMES),
        r.choice(["notebooks", "muffins", "bus tickets", "pencils", "kites", "postcards"]),
    )
    n, price = r.randint(3, 9), r.randint(2, 8)
    paid = -(-n * price // 10) * 10 + r.choice([0, 10])
    question = (
        f"{name} buys {n} {thing} at ${price} each and pays with ${paid}. How much change does {name} get?"
    )
    return (
        question,
        f"The total cost is the unit price times the quantity, {n} x {price} = ${n * price}. The change is {paid} - {n * price} = ${paid - n * price}.",
    )


def discount(r: Random) -> tuple[str, str]:
    thing, price = (
        r.choice(["jacket", "bicycle", "desk lamp", "tent", "guitar", "camera"]),
        r.randrange(40, 400, 20),
    )
    percent = r.choice([5, 10, 15, 20, 25, 30])
    off = price * percent // 100
    question = f"A {thing} costs ${price}. In the sale it is reduced by {percent}%. What is the sale price?"
    return (
        question,
        f"The percentage discount is {percent}% of {price}, that is {price} x {percent} / 100 = {off}. The sale price is {price} - {off} = ${price - off}.",
    )


def journey(r: Random) -> tuple[str, str]:
    speed, hours = r.randrange(40, 120, 10), r.randint(2, 6)
    more, slower = r.randint(1, 3), r.choice([10, 20])
    total = speed * hours + (speed - slower) * more
    start = r.choice(
        ["A train travels", "A lorry drives", "A family drives", "A ferry sails", "A bus travels"]
    )
    question = (
        f"{start} for {hours} hours at {speed} km/h and then, in bad weather, for {more} hours at {speed - slower} km/h. "
        "What is the whole distance?"
    )
    answer = (
        f"Distance is average speed times time. First part: {speed} x {hours} = {speed * hours} km. Second part: "
        f"{speed - slower} x {more} = {(speed - slower) * more} km. Together they make {total} km."
    )
    return question, answer


def sharing(r: Random) -> tuple[str, str]:
    name, friends, each, left = r.choice(NAMES), r.randint(3, 8), r.randint(4, 12), r.randint(1, 2)
    total, thing = (
        friends * each + left,
        r.choice(["marbles", "stickers", "walnuts", "trading cards", "apples"]),
    )
    question = (
        f"{name} shares {total} {thing} equally among {friends} friends and keeps the remainder. How many does "
        f"each friend get, and how many does {name} keep?"
    )
    return (
        question,
        f"This is division with remainder: {total} divided by {friends} is {each} with a remainder of {left}. Each friend gets {each}; {name} keeps {left}.",
    )


def reading(r: Random) -> tuple[str, str]:
    name, per_day, days = r.choice(NAMES), r.randint(12, 30), r.randint(5, 12)
    already = r.randrange(20, 80, 10)
    pages = already + per_day * days
    did, part, work = r.choice(
        [
            ("read", "pages", "novel"),
            ("placed", "pieces", "jigsaw puzzle"),
            ("learned", "words", "vocabulary list"),
        ]
    )
    question = (
        f"{name} has {did} {already} of the {pages} {part} of a {work} and manages {per_day} {part} a day from now on. "
        "After how many days is all of it done?"
    )
    return (
        question,
        f"{pages} - {already} = {per_day * days} {part} are left. At a rate of {per_day} per day that takes {per_day * days} / {per_day} = {days} days.",
    )


def class_fraction(r: Random) -> tuple[str, str]:
    part, whole = r.choice([(2, 3), (3, 4), (2, 5), (3, 5), (5, 6)])
    pupils = whole * r.randint(4, 7)
    walk = pupils * part // whole
    group, these, others = r.choice(
        [
            ("pupils of a class", "walk to school", "come by bus"),
            ("cows on a farm", "give milk", "are too young for it"),
            ("seats in a theatre", "are taken", "are free"),
            ("eggs in a crate", "are brown", "are white"),
        ]
    )
    question = f"{part}/{whole} of the {pupils} {group} {these}, and the others {others}. How many {others}?"
    return (
        question,
        f"For a fraction of a number divide by the denominator and multiply by the numerator: {pupils} / {whole} x {part} = {walk}. The others are {pupils} - {walk} = {pupils - walk}.",
    )


def ages(r: Random) -> tuple[str, str]:
    name, age, times, years = r.choice(NAMES), r.randint(6, 12), r.randint(3, 4), r.randint(3, 9)
    who = r.choice(["father", "mother", "aunt", "uncle"])
    question = f"{name} is {age} years old, and {name}'s {who} is {times} times as old. How old will they be together in {years} years?"
    answer = (
        f"Now the {who} is {times} x {age} = {times * age}. In {years} years they are {age + years} and "
        f"{times * age + years}, together {age + times * age + 2 * years}."
    )
    return question, answer


def mixture(r: Random) -> tuple[str, str]:
    syrup, water = r.choice([(1, 4), (2, 7), (1, 6), (3, 8)])
    glass = r.randint(2, 6)
    total = (syrup + water) * glass
    whole, one, other, unit = r.choice(
        [
            ("A drink", "syrup", "water", "decilitres"),
            ("Concrete", "cement", "gravel", "buckets"),
            ("A green paint", "blue", "yellow", "cups"),
            ("A trail mix", "raisins", "nuts", "handfuls"),
        ]
    )
    question = f"{whole} is mixed from {one} and {other} in the ratio {syrup} : {water}. How many {unit} of {one} are in {total} {unit} of it?"
    return (
        question,
        f"The ratio has {syrup} + {water} = {syrup + water} parts. One part is {total} / {syrup + water} = {glass} {unit}, so there are {syrup} x {glass} = {syrup * glass} {unit} of {one}.",
    )


def average_mark(r: Random) -> tuple[str, str]:
    name, marks = r.choice(NAMES), [r.randint(60, 90) for _ in range(3)]
    goal = -(-(sum(marks) + 85) // 4)
    need = 4 * goal - sum(marks)
    question = f"{name} scored {marks[0]}, {marks[1]} and {marks[2]} points in three tests. Which score in the fourth test gives an average of {goal}?"
    answer = (
        f"The arithmetic mean times the number of values is their sum. Four tests with an average of {goal} add up to 4 x {goal} = {4 * goal}. The first three add up to {sum(marks)}, so the fourth must be "
        f"{4 * goal} - {sum(marks)} = {need}."
    )
    return question, answer


def fence(r: Random) -> tuple[str, str]:
    length, width, price = r.randint(8, 25), r.randint(4, 7), r.randint(6, 15)
    around = 2 * (length + width)
    place = r.choice(["garden", "playground", "sheep pasture", "building site"])
    question = f"A rectangular {place} is {length} m long and {width} m wide. What does a fence around it cost at ${price} a metre?"
    return (
        question,
        f"The perimeter is 2 x ({length} + {width}) = {around} m. The fence costs {around} x {price} = ${around * price}.",
    )


def tiles(r: Random) -> tuple[str, str]:
    length, width, per_box = r.randint(3, 8), r.randint(2, 6), r.choice([5, 8, 10])
    needed = length * width * 4
    boxes = -(-needed // per_box)
    question = f"The floor of a {r.choice(['kitchen', 'bathroom', 'hall', 'terrace'])} of {length} m by {width} m is covered with square tiles of 50 cm. How many boxes of {per_box} tiles are needed?"
    answer = (
        f"The area is {length} x {width} = {length * width} square metres. A square tile of 50 cm has an area of a quarter of a square metre, so each square metre takes 4 tiles. That makes {needed} tiles. "
        f"{needed} / {per_box} rounded up is {boxes} boxes."
    )
    return question, answer


def saving(r: Random) -> tuple[str, str]:
    name, weekly, spent, weeks = r.choice(NAMES), r.randint(8, 20), r.randint(2, 6), r.randint(6, 14)
    job = r.choice(["walking dogs", "babysitting", "mowing lawns", "delivering newspapers"])
    question = (
        f"{name} earns ${weekly} a week by {job} and spends ${spent} of it. {name} wants to save ${(weekly - spent) * weeks}. "
        "How many weeks does it take?"
    )
    return (
        question,
        f"The weekly savings are {weekly} - {spent} = ${weekly - spent}. {(weekly - spent) * weeks} / {weekly - spent} = {weeks} weeks.",
    )


def bakery(r: Random) -> tuple[str, str]:
    trays, each, eaten, price = r.randint(3, 8), r.choice([12, 15, 18, 20]), r.randint(4, 10), r.randint(2, 4)
    made = trays * each
    maker, thing = r.choice(
        [("A baker", "rolls"), ("A farmer", "peaches"), ("A gardener", "seedlings"), ("A school", "cupcakes")]
    )
    question = (
        f"{maker} fills {trays} trays with {each} {thing} each. {eaten} {thing} are given away and the rest are sold at ${price} each. "
        "How much money comes in?"
    )
    return (
        question,
        f"There are {trays} x {each} = {made} {thing}, of which {made} - {eaten} = {made - eaten} are sold. The revenue is {made - eaten} x {price} = ${(made - eaten) * price}.",
    )


def cinema(r: Random) -> tuple[str, str]:
    adults, children, adult, child = r.randint(2, 5), r.randint(2, 7), r.randint(9, 14), r.randint(5, 8)
    total = adults * adult + children * child
    where = r.choice(["A cinema", "A zoo", "A museum", "A swimming pool"])
    question = (
        f"{where} ticket costs ${adult} for adults and ${child} for children. A group of {adults} adults pays ${total} for all its "
        "tickets. How many children are in the group?"
    )
    answer = (
        f"Subtract the known part from the total price. The adults pay {adults} x {adult} = ${adults * adult}. That leaves {total} - {adults * adult} = ${children * child} for the children, "
        f"and {children * child} / {child} = {children} children."
    )
    return question, answer


def fuel(r: Random) -> tuple[str, str]:
    per_100, distance, price = r.choice([5, 6, 7, 8]), r.randrange(200, 900, 100), r.choice([2, 3])
    litres = per_100 * distance // 100
    question = f"{r.choice(['A car', 'A van', 'A taxi', 'A camper'])} needs {per_100} litres of fuel for 100 km. What does the fuel for {distance} km cost at ${price} a litre?"
    return (
        question,
        f"Fuel consumption is proportional to the distance: {distance} km take {per_100} x {distance} / 100 = {litres} litres. At ${price} a litre that is {litres} x {price} = ${litres * price}.",
    )


def tank(r: Random) -> tuple[str, str]:
    fill, leak, minutes = r.randint(9, 16), r.randint(2, 5), r.randrange(10, 50, 5)
    volume = (fill - leak) * minutes
    question = (
        f"{r.choice(['A tap', 'A hose', 'A pump'])} fills a tank with {fill} litres a minute, while {leak} litres a minute leak out. After how many minutes does the empty "
        f"tank hold {volume} litres?"
    )
    return (
        question,
        f"The net flow rate is inflow minus outflow: each minute the tank gains {fill} - {leak} = {fill - leak} litres. {volume} / {fill - leak} = {minutes} minutes.",
    )


def clock(r: Random) -> tuple[str, str]:
    start, minutes = r.randint(8, 14) * 60 + r.choice([5, 15, 25, 40]), r.randint(75, 190)
    end = start + minutes
    question = f"{r.choice(['A film', 'A concert', 'A flight', 'An exam', 'A football match with extra time'])} starts at {start // 60}:{start % 60:02} and lasts {minutes} minutes. When does it end?"
    return question, (
        f"Convert the elapsed time: {minutes} minutes are {minutes // 60} h {minutes % 60} min. Added to {start // 60}:{start % 60:02} that gives {end // 60}:{end % 60:02}."
    )


def teamwork(r: Random) -> tuple[str, str]:
    first, second = r.choice([(3, 6), (4, 12), (6, 12), (10, 15), (6, 3), (20, 30)])
    together = Fraction(1, 1) / (Fraction(1, first) + Fraction(1, second))
    one, does = r.choice(
        [
            ("painter", "paints a hall"),
            ("pump", "empties a pool"),
            ("printer", "prints all exam papers"),
            ("harvester", "mows a field"),
        ]
    )
    question = (
        f"One {one} {does} in {first} hours, another in {second} hours. How long do both take together?"
    )
    return question, (
        f"Work rates add up: in one hour they do 1/{first} + 1/{second} = {Fraction(1, first) + Fraction(1, second)} of the work, so together they take {together} hours."
    )


# Beyond grade school ----------------------------------------------------------------------------------------


def linear(r: Random) -> tuple[str, str]:
    a, b, x = r.randint(2, 9), r.randint(1, 20), r.randint(-6, 12)
    question = f"Solve the linear equation {a}x + {b} = {a * x + b}."
    return question, f"Subtract {b} from both sides: {a}x = {a * x}. Divide by {a}: x = {x}."


def quadratic(r: Random) -> tuple[str, str]:
    p, q = r.sample([n for n in range(-7, 9) if n], 2)
    low, high = sorted((p, q))
    b, c, root = -(p + q), p * q, high - low
    linear_term = f" {'-' if b < 0 else '+'} {'' if abs(b) == 1 else abs(b)}x" if b else ""
    question = f"Solve the quadratic equation x^2{linear_term} {'-' if c < 0 else '+'} {abs(c)} = 0."
    return question, (
        f"By the quadratic formula the discriminant is ({b})^2 - 4 * ({c}) = {b * b - 4 * c}, whose square root is {root}. "
        f"The roots are ({-b} - {root}) / 2 = {low} and ({-b} + {root}) / 2 = {high}."
    )


def system(r: Random) -> tuple[str, str]:
    x, y, a = r.randint(1, 9), r.randint(1, 9), r.randint(2, 5)
    question = f"Solve the system of equations: x + y = {x + y} and {a}x - y = {a * x - y}."
    return (
        question,
        f"Adding the equations removes y: {a + 1}x = {(a + 1) * x}, so x = {x}. Then y = {x + y} - {x} = {y}.",
    )


def derivative(r: Random) -> tuple[str, str]:
    a, n, b, at = r.randint(2, 6), r.randint(2, 4), r.randint(2, 9), r.randint(1, 3)
    question = f"Find the derivative of f(x) = {a}x^{n} + {b}x and its value at x = {at}."
    power = f"x^{n - 1}" if n > 2 else "x"
    return (
        question,
        f"By the power rule f'(x) = {a * n}{power} + {b}. At x = {at} the derivative is {a * n * at ** (n - 1) + b}.",
    )


def integral(r: Random) -> tuple[str, str]:
    n, high, factor = r.randint(1, 3), r.randint(1, 4), r.randint(1, 3)
    a = (n + 1) * factor
    power = f"x^{n}" if n > 1 else "x"
    question = f"Evaluate the definite integral of {a}{power} from 0 to {high}."
    coefficient = "" if factor == 1 else str(factor)
    return (
        question,
        f"An antiderivative is {coefficient}x^{n + 1}. The definite integral is {coefficient}{'*' * bool(coefficient)}{high}^{n + 1} - 0 = {factor * high ** (n + 1)}.",
    )


def pythagoras(r: Random) -> tuple[str, str]:
    scale = r.randint(1, 3)
    a, b, c = (
        scale * side for side in r.choice([(3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29)])
    )
    question = f"A right triangle has legs of {a} cm and {b} cm. How long is the hypotenuse?"
    return (
        question,
        f"By the Pythagorean theorem c^2 = {a}^2 + {b}^2 = {a * a + b * b}, so the hypotenuse is {c} cm.",
    )


def marbles(r: Random) -> tuple[str, str]:
    red, blue = r.randint(2, 6), r.randint(3, 7)
    both = Fraction(red, red + blue) * Fraction(red - 1, red + blue - 1)
    question = f"A bag holds {red} red and {blue} blue marbles. Two are drawn without replacement. What is the probability that both are red?"
    return question, (
        f"The probability of red is {red}/{red + blue} for the first and {red - 1}/{red + blue - 1} for the second marble. "
        f"The product is {both}."
    )


def dice(r: Random) -> tuple[str, str]:
    total = r.randint(4, 10)
    ways = sum(1 for a in range(1, 7) for b in range(1, 7) if a + b == total)
    question = f"What is the probability that two fair dice show a sum of {total}?"
    return (
        question,
        f"Of 36 equally likely outcomes {ways} have the sum {total}, so the probability is {ways}/36 = {Fraction(ways, 36)}.",
    )


def primes(r: Random) -> tuple[str, str]:
    factors = sorted(r.choices([2, 2, 3, 3, 5, 7, 11], k=4))
    n = factors[0] * factors[1] * factors[2] * factors[3]
    question = f"Find the prime factorization of {n}."
    return (
        question,
        f"Dividing by the smallest prime number each time gives {n} = {' x '.join(map(str, factors))}.",
    )


def divisors(r: Random) -> tuple[str, str]:
    k = r.randint(2, 9)
    a, b = k * r.randint(2, 9), k * r.randint(10, 15)
    question = f"Find the greatest common divisor and the least common multiple of {a} and {b}."
    return (
        question,
        f"The greatest common divisor is {gcd(a, b)}. The least common multiple is {a} x {b} / {gcd(a, b)} = {lcm(a, b)}.",
    )


def middle(r: Random) -> tuple[str, str]:
    data = [r.randint(1, 30) for _ in range(5)]
    data[-1] += -sum(data) % 5  # so that the mean is a whole number
    shown = ", ".join(map(str, data))
    question = f"Find the mean and the median of {shown}."
    return (
        question,
        f"The sum is {sum(data)}, so the mean is {sum(data)} / 5 = {sum(data) // 5}. Sorted, the values are {', '.join(map(str, sorted(data)))}; the median is {sorted(data)[2]}.",
    )


def series(r: Random) -> tuple[str, str]:
    first, step, n = r.randint(1, 9), r.randint(2, 7), r.choice([10, 12, 20, 30])
    last = first + (n - 1) * step
    question = f"What is the sum of the first {n} terms of the arithmetic sequence {first}, {first + step}, {first + 2 * step}, ...?"
    return (
        question,
        f"The {n}th term is {first} + {n - 1} x {step} = {last}. The sum is {n} x ({first} + {last}) / 2 = {n * (first + last) // 2}.",
    )


def growth(r: Random) -> tuple[str, str]:
    start, ratio, n = r.randint(1, 5), r.choice([2, 3]), r.randint(5, 8)
    question = f"A geometric sequence starts with {start} and has the ratio {ratio}. What is its {n}th term?"
    return (
        question,
        f"The nth term is {start} x {ratio}^(n-1). For n = {n} it is {start} x {ratio ** (n - 1)} = {start * ratio ** (n - 1)}.",
    )


def circle(r: Random) -> tuple[str, str]:
    radius = r.randint(2, 12)
    question = f"Compute the area and the circumference of a circle of radius {radius} cm in terms of pi."
    return (
        question,
        f"The area is pi x {radius}^2 = {radius**2} pi square centimetres, the circumference 2 x pi x {radius} = {2 * radius} pi centimetres.",
    )


def determinant(r: Random) -> tuple[str, str]:
    a, b, c, d = (r.randint(-4, 8) for _ in range(4))
    value = a * d - b * c
    question = f"Compute the determinant of the matrix [[{a}, {b}], [{c}, {d}]]. Is the matrix invertible?"
    return (
        question,
        f"The determinant is ({a})({d}) - ({b})({c}) = {value}. The matrix is {'invertible' if value else 'not invertible'}, because the determinant is {'not ' * bool(value)}zero.",
    )


def counting(r: Random) -> tuple[str, str]:
    n, k = r.randint(6, 10), r.randint(2, 4)
    question = f"From {n} people, in how many ways can a committee of {k} be chosen, and in how many ways can {k} different offices be filled?"
    return question, (
        f"A committee is a combination: {n}! / ({k}! x {n - k}!) = {comb(n, k)}. Offices are ordered, a permutation: {comb(n, k)} x {factorial(k)} = {perm(n, k)}."
    )


def fractions(r: Random) -> tuple[str, str]:
    a, b = Fraction(r.randint(1, 4), r.choice([5, 6, 8])), Fraction(r.randint(1, 3), r.choice([4, 7, 9]))
    common = lcm(a.denominator, b.denominator)
    question = f"Add the fractions {a} and {b}."
    return question, (
        f"The common denominator is {common}: {a.numerator * common // a.denominator}/{common} + {b.numerator * common // b.denominator}/{common} "
        f"= {(a + b) * common}/{common}" + (f" = {a + b}." if gcd(int((a + b) * common), common) > 1 else ".")
    )


def logarithm(r: Random) -> tuple[str, str]:
    base, n = r.choice([(2, r.randint(3, 10)), (3, r.randint(2, 5)), (10, r.randint(2, 6))])
    question = f"Evaluate the logarithm of {base**n} to the base {base}."
    return question, f"The logarithm asks for the exponent: {base}^{n} = {base**n}, so it is {n}."


def modular(r: Random) -> tuple[str, str]:
    base, m, n = r.choice([2, 3, 5]), r.choice([7, 11, 13]), r.randint(5, 9)
    question = f"What is the remainder of {base}^{n} on division by {m}?"
    return (
        question,
        f"{base}^{n} = {base**n} and {base**n} = {base**n // m} x {m} + {base**n % m}, so by modular arithmetic {base}^{n} is congruent to {base**n % m} modulo {m}.",
    )


WORD_PROBLEMS: list[Problem] = [
    change, discount, journey, sharing, reading, class_fraction, ages, mixture, average_mark, fence, tiles, saving,
    bakery, cinema, fuel, tank, clock, teamwork,
]  # fmt: skip
TOPICS: list[Problem] = [
    linear, quadratic, system, derivative, integral, pythagoras, marbles, dice, primes, divisors, middle, series,
    growth, circle, determinant, counting, fractions, logarithm, modular,
]  # fmt: skip
