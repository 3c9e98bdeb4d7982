import time

import numpy as np
import pytest
from hypothesis import given, strategies as st

from jaxlatent.explorer import Recipe

FULL = (
    "sampler=pairwise:fact=0.7&seed=3&index=17&components=105&fact=0.8&temperature=1.1&edge=1.5"
    "&c1=1.25&a.smile=-0.5&z7=3e-05&inside=1"
)
NAMES = ["smile", "a b", "x&y", "1=1", "+", "%", "%41", "öß 😀", "a.b", "#?", "v.x", "\n", '"\\']


def test_every_part_is_read():
    assert Recipe.parse(FULL) == Recipe(
        sampler="pairwise:fact=0.7",
        seed=3,
        index=17,
        components=105,
        fact=0.8,
        temperature=1.1,
        edge=1.5,
        edits=(("c1", 1.25), ("a.smile", -0.5), ("z7", 3e-5)),
        inside=True,
    )
    assert str(Recipe.parse(FULL)) == FULL
    assert Recipe.parse("") == Recipe() == Recipe.parse("#seed=0&index=0")
    assert Recipe.parse("?image=7&inside=0") == Recipe(image=7)


def test_a_vector_is_kept_bit_for_bit():
    z = np.array([1.0, -0.0, 1e-38, 3.1415927, -1e30], np.float32)
    recipe = Recipe.of_vector(z, "exact")
    assert Recipe.parse(str(recipe)) == recipe
    assert np.frombuffer(Recipe.parse(str(recipe)).vector, "<f4").tobytes() == z.tobytes()
    assert Recipe.of_vector(z.astype(np.float64)).vector == recipe.vector


finite = st.floats(-1e30, 1e30)
positive = st.none() | st.floats(0.001, 1000)
edits = st.lists(
    st.tuples(
        st.sampled_from(["c1", "c16", "z1", "z9999999"]) | st.text(min_size=1).map("a.{}".format), finite
    ),
    unique_by=lambda edit: edit[0],
    max_size=5,
)
text = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.fixed_dictionaries(
        {
            "sampler": text,
            "seed": st.integers(0, 2**64 - 1),
            "index": st.integers(0, 2**32 - 1),
            "components": st.none() | st.integers(1, 10**6),
            "fact": positive,
            "temperature": positive,
            "edge": positive,
            "edits": edits.map(tuple),
            "inside": st.booleans(),
        }
    )
)
def test_what_is_written_is_read_again(fields):
    recipe = Recipe(**fields)
    assert Recipe.parse(str(recipe)) == recipe
    assert str(Recipe.parse(str(recipe))) == str(recipe)


@given(st.text(max_size=300) | st.text("seed=index&c1.a%z+#?-0", max_size=100))
def test_any_text_is_read_or_refused_in_one_line(text):
    recipe, line = None, "state: "
    try:
        recipe = Recipe.parse(text)
    except ValueError as error:
        line = str(error)
    assert line.startswith("state: ")
    assert len(line.splitlines()) == 1
    assert recipe is None or Recipe.parse(str(recipe)).edits == recipe.edits


@pytest.mark.parametrize("name", NAMES)
def test_names_of_attributes(name):
    recipe = Recipe(edits=((f"a.{name}", 0.5), ("c1", -1.0)))
    assert set(str(recipe)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:.,-_~=&%")
    assert Recipe.parse(str(recipe)) == recipe


def test_edits_keep_their_order_and_the_last_of_a_name_counts_in_its_place():
    found = Recipe.parse("c1=1&a.x=2&z3=3&c1=4&a.x=5").edits
    assert found == (("z3", 3.0), ("c1", 4.0), ("a.x", 5.0))


def test_what_else_the_page_has_in_its_address_is_passed_over():
    assert Recipe.parse("v.tab=map&seed=4&v.keep=seed%3D5&v.keep=c1%3Dx&v.=") == Recipe(seed=4)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x=1", r"state: 'x' is not known; expected one of sampler, seed, .*, c1, z1 or a\.NAME"),
        ("c0=1", "state: 'c0' is not known"),
        ("c01=1", "state: 'c01' is not known"),
        ("c12345678=1", "is not known"),
        ("a.=1", "state: 'a.' is not known"),
        ("seed=1&seed=1", "state: seed is given twice; leave one out"),
        ("image=1&vector=AACAPw", "state: image and vector exclude each other; leave one out"),
        ("seed=-1", "state: seed: expected a whole number from 0 to 18446744073709551615, got '-1'"),
        ("seed=18446744073709551616", "state: seed: expected a whole number"),
        ("seed=0000000000000000000000001", "state: seed: expected a whole number"),
        ("index=1.0", "state: index: expected a whole number from 0 to 4294967295, got '1.0'"),
        ("index=4294967296", "state: index"),
        ("index=1e3", "state: index"),
        ("index=٣", "state: index"),
        ("index=²", "state: index"),
        ("image=", "state: image"),
        ("components=0", "state: components: expected a whole number from 1 to 1000000, got '0'"),
        ("fact=0", "state: fact: expected a number from 0.001 to 1000, got '0'"),
        ("fact=1e-9", "state: fact: expected a number from 0.001"),
        ("temperature=-1", "state: temperature"),
        ("edge=1001", "state: edge"),
        ("fact=nan", "state: fact: expected a number, got 'nan'"),
        ("c1=nan", "state: c1: expected a number, got 'nan'"),
        ("c1=inf", "state: c1: expected a number"),
        ("c1=1e400", "state: c1: expected a number"),
        ("c1=-1e31", "state: c1: expected a number"),
        ("a.smile=", "state: a.smile: expected a number, got ''"),
        ("z1=x" + "y" * 9000, "state: z1: expected a number, got 'xy{39}'$"),
        (f"a.{'n' * 9000}=x", "state: a.n{38}: expected a number, got 'x'$"),
        ("q" * 9000, "state: 'q{40}' is not known"),
        ("inside=true", "state: inside: expected 0 or 1, got 'true'"),
        ("vector=", "state: vector: expected finite numbers of float32 as base64, got ''"),
        ("vector=AAAA", "state: vector"),  # three bytes
        ("vector=AADAfw", "state: vector"),  # NaN
        ("vector=AACAfw", "state: vector"),  # infinity
        ("vector=__9_fw", "state: vector"),  # the largest of float32
        ("vector=A*AAAAA", "state: vector"),
        ("vector=ÄAAAAA", "state: vector"),
        ("&".join(f"c{i + 1}=1" for i in range(1001)), "state: expected at most 1000 edits, got 1001"),
        ("seed=1&" * 20_000, "state: expected at most 100,000 characters, got 140,000"),
    ],
)
def test_refusals(text, line):
    with pytest.raises(ValueError, match=line):
        Recipe.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "&" * 1_000_000,
        "&".join(["c1=1"] * 100_000),
        "%" * 100_000,
        "&".join(f"a.{i}=1" for i in range(9000)),
        f"c1={'9' * 99_000}",
        f"seed={'9' * 99_000}",
        f"vector={'A' * 99_989}",
    ],
    ids=lambda text: text[:9],
)
def test_hostile_texts_are_refused_at_once(text):
    begin = time.process_time()
    with pytest.raises(ValueError, match=r"^state: "):
        Recipe.parse(text)
    assert time.process_time() - begin < 1


def test_vectors_from_elsewhere_have_to_be_numbers():
    for bad in (np.nan, np.inf, 2e30):
        with pytest.raises(ValueError, match="vector: expected finite numbers, up to 1e30"):
            Recipe.of_vector(np.array([0, bad], np.float32))


@pytest.mark.usefixtures("as_without_type_checks")
def test_what_is_no_text():
    for bad in (None, 3, b"seed=1", ["seed=1"]):
        with pytest.raises(TypeError, match="state: expected text, got"):
            Recipe.parse(bad)


def test_which_recipes_are_draws():
    assert Recipe("exact", 2**32 - 1, 5).is_draw
    assert Recipe("exact", 1).at(9) == Recipe("exact", 1, 9)
    others = ["seed=4294967296", "image=1", "vector=AACAPw", "fact=1", "c1=0", "inside=1", "components=6"]
    assert not any(Recipe.parse(text).is_draw for text in others)
