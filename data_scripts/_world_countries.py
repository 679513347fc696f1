"""Countries, their capitals, neighbours, languages, money, regions, demonyms and provinces, out of countryinfo."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from data_scripts._common import repeated, verify
from data_scripts._world_model import World

COUNTRIES, PROVINCES = 254, 4403
PLAIN_NAME = re.compile(r"[A-Z][A-Za-z\-' ]{2,24}")
CAPITAL_NAME = re.compile(r"[^\W\d_][\w\-'’. ]{2,30}")
VALUES = {"population": "integer", "area": "decimal"}
CODES = {"alpha2": "iso_alpha2", "alpha3": "iso_alpha3", "numeric": "iso_numeric"}
COORDINATES = ("latitude", "longitude")

Row = dict[str, Any]


def read_rows(package: Path) -> list[Row]:
    """All rows of the wheel, in the order of their file names."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((package / "data").glob("*.json"))]
    verify("countries in countryinfo", len(rows), COUNTRIES)
    verify("provinces in countryinfo", sum(len(row.get("provinces") or []) for row in rows), PROVINCES)
    return rows


def one_row_a_code(rows: list[Row], flags: set[str], world: World) -> dict[str, Row]:
    """Countries by ISO code: the fullest row of each code, and only codes that are in use (those have a flag)."""
    chosen: dict[str, Row] = {}
    for row in rows:
        code = row["ISO"]["alpha2"]
        if code not in flags:
            world.dropped.drop("countries whose code was withdrawn")
        elif code not in chosen or filled(row) > filled(chosen[code]):
            world.dropped.drop("rows that repeat a country", int(code in chosen))
            chosen[code] = row
        else:
            world.dropped.drop("rows that repeat a country")
    return chosen


def filled(row: Row) -> int:
    """How many fields of a row say something."""
    return sum(bool(value) for value in row.values())


def add_countries(world: World, rows: dict[str, Row], names: dict[str, Any], flags: dict[str, str]) -> dict[str, str]:
    """Add every country with its names, values and flag; returns their IRIs by ISO code."""
    iris = {}
    for code, row in rows.items():
        label = names["countries"].get(code, row["name"])
        iri = iris[code] = world.add("Country", code, label)
        country = world.entities[iri]
        country.picture = flags[code]
        translations = row.get("translations") or {}
        country.labels = {language: text for language, text in translations.items() if text and language != "en"}
        country.aliases = spellings(world, row, names) | set(names["country_aliases"].get(code, ()))
        country.aliases.discard(label)
        for field, datatype in VALUES.items():
            if row.get(field):
                country.values[field] = (str(row[field]), datatype)
        for field, name in CODES.items():
            country.values[name] = (row["ISO"][field], None)
        for name, degrees in zip(COORDINATES, row.get("latlng") or (), strict=False):
            country.values[name] = (str(float(degrees)), "double")
    return iris


def spellings(world: World, row: Row, names: dict[str, Any]) -> set[str]:
    """Other names of a country: no codes, no demonyms, nothing known to be wrong."""
    candidates = {name.strip() for name in (row["name"], row.get("nativeName") or "", *row["altSpellings"])} - {""}
    codes = {row["ISO"]["alpha2"], row["ISO"]["alpha3"]}
    wrong = set(names["wrong_aliases"]) | {row.get("demonym")}
    unfit = {
        name for name in candidates if name in wrong or not name[0].isupper() or "/" in name or "," in name
    } - codes
    world.dropped.drop("spellings that are not names", len(unfit))
    return candidates - codes - unfit


def add_facts(world: World, rows: dict[str, Row], iris: dict[str, str], names: dict[str, Any]) -> None:
    """State what the rows say of each country, provinces apart."""
    shared = repeated(row["capital"] for row in rows.values() if isinstance(row["capital"], str) and row["capital"])
    by_alpha3 = {row["ISO"]["alpha3"]: code for code, row in rows.items()}
    for code, row in rows.items():
        country = iris[code]
        add_capital(world, country, row["capital"], shared)
        add_regions(world, country, row)
        add_demonym(world, country, row)
        for neighbour in row.get("borders") or ():
            if neighbour in by_alpha3:
                world.state(country, "borders", iris[by_alpha3[neighbour]])
            else:
                world.dropped.drop("borders with an unknown code")
        for language in row.get("languages") or ():
            if language in names["languages"]:
                tongue = world.add("Language", language, names["languages"][language])
                world.entities[tongue].aliases.add(f"{names['languages'][language]} language")
                world.state(country, "official_language", tongue)
            else:
                world.dropped.drop("languages with an unknown code")
        for unit in row.get("currencies") or ():
            if unit in names["not_currencies"]:
                world.dropped.drop("units of account that are no currencies")
                continue
            money = world.add("Currency", unit, names["currencies"][unit])
            world.entities[money].aliases.update(names["currency_aliases"].get(unit, ()))
            world.state(country, "currency", money)
    keep_mutual_borders(world)


def add_capital(world: World, country: str, capital: str | list[str] | None, shared: set[str]) -> None:
    if isinstance(capital, list):
        capital = capital[0] if len(capital) == 1 else None
    if not capital or not CAPITAL_NAME.fullmatch(capital):
        world.dropped.drop("countries without one capital")
    elif capital.casefold() in shared:
        world.dropped.drop("capitals whose name another capital bears")
    else:
        world.state(country, "capital", world.add("City", capital, capital))


def add_regions(world: World, country: str, row: Row) -> None:
    if not row["region"] or not row["subregion"]:
        world.dropped.drop("countries without a region")
        return
    region = world.add("Region", row["region"], row["region"])
    subregion = world.add("Subregion", row["subregion"], row["subregion"])
    world.state(country, "region", region)
    world.state(country, "subregion", subregion)
    world.state(subregion, "subregion_of", region)


def add_demonym(world: World, country: str, row: Row) -> None:
    demonym = row.get("demonym")
    if not demonym:
        world.dropped.drop("countries without a demonym")
    elif "," in demonym or "/" in demonym:
        world.dropped.drop("demonyms that are two words in one")
    elif demonym == row["name"]:
        world.dropped.drop("demonyms that are the country's own name")
    else:
        world.state(country, "demonym", world.add("Demonym", demonym, demonym))


def keep_mutual_borders(world: World) -> None:
    """A border has two sides: what one side alone lists is wrong about as often as right, and is dropped."""
    borders = {(head, tail) for head, relation, tail in world.facts if relation == "borders"}
    for head, tail in borders:
        if (tail, head) not in borders:
            world.dropped.drop("borders that one side alone lists")
            world.facts.discard((head, "borders", tail))


def add_provinces(world: World, rows: dict[str, Row], iris: dict[str, str], names: dict[str, Any], limit: int) -> None:
    """State in which country provinces lie: `limit` of them, drawn by the hash of their names.

    Kept are names that no other entity bears, without brackets, of plain Latin letters: one name, one place.
    """
    offered = {code: sorted(clean(row.get("provinces") or [])) for code, row in rows.items()}
    for code in names["wrong_province_lists"]:
        world.dropped.drop("provinces listed under the wrong country", len(offered.pop(code)))
    for code, strays in names["wrong_provinces"].items():
        world.dropped.drop("provinces listed under the wrong country", len(set(offered[code]) & set(strays)))
        offered[code] = [name for name in offered[code] if name not in strays]
    shared = repeated(name for listed in offered.values() for name in listed)
    taken = world.labels() | {name.casefold() for entity in world.entities.values() for name in entity.aliases}
    places: list[tuple[str, str]] = []
    for code, listed in offered.items():
        for name in listed:
            if not PLAIN_NAME.fullmatch(name):
                world.dropped.drop("provinces with odd names")
            elif name.casefold() in shared:
                world.dropped.drop("provinces whose name is borne twice")
            elif name.casefold() in taken:
                world.dropped.drop("provinces named like something else")
            else:
                places.append((name, iris[code]))
    places.sort(key=lambda place: hashlib.sha256(place[0].encode()).digest())
    world.dropped.drop("provinces beyond the limit", max(0, len(places) - limit))
    for name, country in places[:limit]:
        world.state(world.add("Province", name, name), "in_country", country)


def clean(provinces: list[str]) -> set[str]:
    """Province names without what stands in brackets."""
    return {re.sub(r"\s*[\[(].*", "", name).strip() for name in provinces}
