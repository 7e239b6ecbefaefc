from hypothesis import given, settings
from hypothesis import strategies as st

from sorby.data.split import held_out_groups

GROUPS = st.dictionaries(st.integers(0, 200).map(str), st.sampled_from("abcdefghijkl"), max_size=60)


def one_class(group_of):
    return dict.fromkeys(group_of, "")


@settings(deadline=None, max_examples=50)
@given(GROUPS, st.floats(0.01, 0.9), st.integers(0, 99))
def test_some_but_not_all_groups_are_held_out_where_there_are_two(group_of, fraction, seed):
    groups = set(group_of.values())
    held_out = held_out_groups(group_of, one_class(group_of), fraction=fraction, seed=seed)
    assert held_out <= groups
    assert (0 < len(held_out) < len(groups)) if len(groups) > 1 else not held_out


@settings(deadline=None, max_examples=50)
@given(st.integers(20, 300), st.floats(0.05, 0.5), st.integers(0, 99))
def test_single_images_are_held_out_to_the_nearest_number(n, fraction, seed):
    group_of = {str(i): str(i) for i in range(n)}
    held_out = held_out_groups(group_of, one_class(group_of), fraction=fraction, seed=seed)
    assert abs(len(held_out) - fraction * n) <= 0.5 + 1e-9


def test_each_class_gives_its_share():
    group_of = {str(i): str(i) for i in range(100)}
    class_of = {str(i): "rare" if i < 20 else "common" for i in range(100)}
    held_out = held_out_groups(group_of, class_of, fraction=0.1, seed=0)
    assert sum(class_of[name] == "rare" for name in held_out) == 2
    assert sum(class_of[name] == "common" for name in held_out) == 8


def test_the_seed_decides_and_nothing_else():
    group_of = {str(i): str(i) for i in range(50)}
    a, b, c = (held_out_groups(group_of, one_class(group_of), fraction=0.2, seed=seed) for seed in (1, 1, 2))
    assert a == b != c


def test_nothing_is_held_out_at_0():
    assert held_out_groups({"a": "1", "b": "2"}, {"a": "", "b": ""}, fraction=0, seed=0) == frozenset()
