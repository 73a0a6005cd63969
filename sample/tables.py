"""Money and tool calls for the sample: questions with numbers drawn at random and answers that are computed."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Called = tuple[str, str, dict[str, Any], dict[str, Any], str]
    """Question, name of the tool, its arguments, its result, and the answer."""
    Tool = Callable[[Random], Called]


def cents(amount: float | Decimal) -> str:
    """Write an amount with two digits, rounded half up."""
    return f"{Decimal(str(amount)).quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


# Money ------------------------------------------------------------------------------------------------------


def compound_interest(r: Random) -> tuple[str, str]:
    start, percent, years = r.randrange(500, 8000, 500), r.randint(2, 7), r.randint(3, 15)
    end = cents(start * (1 + Decimal(percent) / 100) ** years)
    question = (
        f"{start} dollars earn {percent}% compound interest a year. What is the balance after {years} years?"
    )
    return question, (
        f"With yearly compound interest the balance is {start} x (1 + {percent}/100)^{years} = {end} dollars."
    )


def simple_loan(r: Random) -> tuple[str, str]:
    loan, percent, years = r.randrange(1000, 9000, 1000), r.randint(3, 9), r.randint(2, 5)
    interest = loan * percent * years // 100
    question = (
        f"How much simple interest does a loan of {loan} dollars at {percent}% cost over {years} years?"
    )
    return question, (
        f"Simple interest is principal x rate x time: {loan} x {percent}/100 x {years} = {interest} dollars."
    )


def sales_tax(r: Random) -> tuple[str, str]:
    net, percent = r.randrange(100, 900, 20), r.choice([5, 7, 10, 19, 20])
    tax = Decimal(net * percent) / 100
    question = f"An invoice has a net amount of {net} euros. What is the gross amount with {percent}% value added tax?"
    return (
        question,
        f"The value added tax is {net} x {percent}/100 = {cents(tax)} euros, the gross amount {cents(net + tax)} euros.",
    )


def break_even(r: Random) -> tuple[str, str]:
    margin, cost, units = r.randint(4, 20), r.randint(5, 30), r.randrange(100, 900, 50)
    question = (
        f"A workshop has fixed costs of {margin * units} dollars a month. A chair costs {cost} dollars to make and sells for "
        f"{cost + margin}. What is the break-even point?"
    )
    return question, (
        f"Each chair has a contribution margin of {cost + margin} - {cost} = {margin} dollars. The break-even point is "
        f"{margin * units} / {margin} = {units} chairs a month."
    )


MONEY = [compound_interest, simple_loan, sales_tax, break_even]


# Tool calls -------------------------------------------------------------------------------------------------

SYSTEM = "You are a helpful assistant with access to tools. Call a tool when it is needed, then answer in a sentence."
CITIES = ["Oslo", "Nairobi", "Lima", "Osaka", "Lisbon", "Toronto"]


def weather(r: Random) -> Called:
    city, degrees, sky = r.choice(CITIES), r.randint(-5, 33), r.choice(["clear", "cloudy", "light rain"])
    advice = "Take an umbrella." if sky == "light rain" else "You will not need an umbrella."
    question = f"What is the weather in {city} right now? Do I need an umbrella?"
    return (
        question,
        "get_weather",
        {"city": city},
        {"celsius": degrees, "sky": sky},
        (f"It is {degrees} °C in {city} with {sky if sky == 'light rain' else sky + ' skies'}. {advice}"),
    )


def currency(r: Random) -> Called:
    amount, rate = r.randrange(50, 900, 50), Decimal(r.randint(80, 160)) / 100
    to = r.choice(["EUR", "CHF", "CAD", "SGD"])
    result = cents(amount * rate)
    question = f"Convert {amount} US dollars to {to} at today's exchange rate."
    return (
        question,
        "convert_currency",
        {"amount": amount, "from": "USD", "to": to},
        {"rate": float(rate)},
        (f"At an exchange rate of {rate} it is {result} {to}."),
    )


def calendar(r: Random) -> Called:
    day, hour = r.choice(["Monday", "Tuesday", "Wednesday", "Friday"]), r.randint(9, 15)
    question = f"Am I free on {day} at {hour}:00 for a call with the design team?"
    busy = r.random() < 0.5
    events = [{"title": "dentist", "start": f"{hour}:00", "end": f"{hour + 1}:00"}] if busy else []
    answer = (
        f"No, you have a dentist appointment on {day} from {hour}:00 to {hour + 1}:00. You are free from {hour + 1}:00."
        if busy
        else f"Yes, your calendar is free on {day} at {hour}:00."
    )
    return question, "list_events", {"day": day}, {"events": events}, answer


def stock(r: Random) -> Called:
    item, left, wanted = (
        r.choice(["red bicycle helmet", "camping stove", "desk lamp"]),
        r.randint(0, 9),
        r.randint(2, 6),
    )
    question = f"Do you have {wanted} of the {item} in stock?"
    answer = (
        f"Yes, {left} are in stock, so {wanted} can be shipped today."
        if left >= wanted
        else f"Not quite: {left or 'none'} {'is' if left == 1 else 'are'} in stock. I can order the missing {wanted - left} for you."
    )
    return question, "check_inventory", {"item": item}, {"in_stock": left}, answer


TOOLS = [weather, currency, calendar, stock]


def tool_dialogues(tools: Sequence[Tool], each: int, seed: str) -> list[list[dict[str, Any]]]:
    """Conversations with a call of a tool, its result and the answer, as OpenAI's chat API has them."""
    dialogues: list[list[dict[str, Any]]] = []
    asked: set[str] = set()
    for turn in range(each):
        for tool in tools:
            random = Random(f"{seed}/{tool.__name__}/{turn}")
            called = tool(random)
            while called[0] in asked:
                called = tool(random)
            asked.add(called[0])
            dialogues.append(_dialogue(called, f"call_{len(dialogues) + 1:03}"))
    return dialogues


def _dialogue(called: Called, call_id: str) -> list[dict[str, Any]]:
    question, name, arguments, result, answer = called
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": json.dumps(result)},
        {"role": "assistant", "content": answer},
    ]
