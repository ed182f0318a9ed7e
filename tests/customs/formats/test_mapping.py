"""The walk over a tree: what each kind of rule takes, what stays raw and why."""

from __future__ import annotations

from cocket.customs.formats.mapping import (
    NO_FIELD,
    REPEATED,
    Each,
    Gather,
    Join,
    Known,
    Leaf,
    Many,
    Node,
    Part,
    Rule,
    Within,
    apply,
)
from cocket.customs.formats.values import integer


def tree(name: str, path: str = "", **below: object) -> Node:
    """A node from nested keywords; a list repeats a name, a text is a leaf."""
    node = Node(name, path or f"/{name}")
    for child, said in below.items():
        several = said if isinstance(said, list) else [said]
        for n, one in enumerate(several, 1):
            where = f"{node.path}/{child}" + (f"[{n}]" if len(several) > 1 else "")
            node.children.append(
                tree(child, where, **one) if isinstance(one, dict) else Node(child, where, str(one))
            )
    return node


def test_leaves_are_taken_once_and_repeats_are_told() -> None:
    root = tree("d", a=["1", "1", "2"], b="x", c=["p", "q"])
    rules: tuple[Rule, ...] = (
        Leaf("n", "a", integer),
        Leaf("all", "c", append=True),
        Known("b", "a marker"),
    )
    mapped = apply(rules, root)
    assert mapped.value == {"n": 1, "all": ["p", "q"]}
    assert mapped.origins == {"/n": "/d/a[1]", "/all/0": "/d/c[1]", "/all/1": "/d/c[2]"}
    assert mapped.taken["/d/a[2]"] == "/n"  # it says the same
    assert mapped.raw == [("/d/a[3]", "2", REPEATED), ("/d/b", "x", "a marker")]


def test_a_value_that_is_none_is_a_fault_with_its_path() -> None:
    mapped = apply((Leaf("n", "a", integer),), tree("d", a="ten"))
    assert [(f.path, f.rule) for f in mapped.faults] == [("/d/a", "value")]
    assert mapped.value == {}
    assert mapped.raw == [("/d/a", "ten", NO_FIELD)]


def test_steps_may_ask_for_what_stands_below() -> None:
    root = tree("d", p=[{"k": "1", "v": "one"}, {"k": "2", "v": "two"}, {"v": "none"}])
    mapped = apply((Leaf("a", "p[k=2]/v"), Leaf("b", "p[!k]/v"), Leaf("c", "p[k]/v")), root)
    assert mapped.value == {"a": "two", "b": "none", "c": "one"}


def test_objects_without_a_value_of_their_own_are_left_out() -> None:
    rules: tuple[Rule, ...] = (
        Many("parties", "p", (Leaf("id", "i"),), {"role": "x"}),
        Part("message", ".", (Leaf("sender", "s"),)),
        Within("q", (Leaf("word", "w"),)),
    )
    mapped = apply(rules, tree("d", p=[{"j": "1"}, {"i": "2"}], q={"w": "hi"}))
    assert mapped.value == {"parties": [{"role": "x", "id": "2"}], "word": "hi"}
    assert mapped.origins["/parties/0/id"] == "/d/p[2]/i"


def test_each_inner_node_makes_one_object_with_what_the_outer_says() -> None:
    rule = Each("g", "o", "r", (Leaf("kind", "k"),), (Leaf("id", "i"),))
    root = tree("d", o=[{"k": "1", "r": [{"i": "a"}, {"i": "b"}]}, {"k": "2"}])
    assert apply((rule,), root).value == {
        "g": [{"kind": "1", "id": "a"}, {"kind": "1", "id": "b"}, {"kind": "2"}]
    }


def test_joined_and_gathered_values_take_all_their_sources() -> None:
    root = tree("d", a="12", b="34", p=[{"x": "1"}, {"x": "2"}])
    rules: tuple[Rule, ...] = (
        Join("code", ("a", "b", "c"), lambda a, b, c: a + b + c),
        Gather("way", "p", lambda nodes: "/".join(n.children[0].text for n in nodes)),
    )
    mapped = apply(rules, root)
    assert mapped.value == {"code": "1234", "way": "1/2"}
    assert mapped.origins == {"/code": "/d/a", "/way": "/d/p[1]/x"}
    assert mapped.taken["/d/b"] == "/code"
    assert mapped.raw == []
