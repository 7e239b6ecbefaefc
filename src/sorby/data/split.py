"""Which micrographs are held out: whole groups, alike in their classes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np


def held_out_groups(
    group_of: Mapping[str, str], class_of: Mapping[str, str], *, fraction: float, seed: int
) -> frozenset[str]:
    """The groups to hold out, given the group and the class of each parent.

    In each class (a group has the class of its first parent) groups are taken in random order where that brings the
    number of parents nearer to `fraction`. At least one group is held out where there are two and `fraction` is not 0,
    and never all.
    """
    sizes: dict[str, int] = defaultdict(int)
    classes: dict[str, str] = {}
    for parent, group in group_of.items():
        sizes[group] += 1
        classes.setdefault(group, class_of[parent])
    if not fraction or len(sizes) < 2:
        return frozenset()
    rng = np.random.default_rng(seed)
    chosen: set[str] = set()
    for name in sorted(set(classes.values())):
        members = [group for group in sizes if classes[group] == name]
        chosen |= _take([members[index] for index in rng.permutation(len(members))], sizes, fraction)
    return frozenset(chosen or {_smallest(sizes)})


def _take(groups: Sequence[str], sizes: Mapping[str, int], fraction: float) -> set[str]:
    wanted = fraction * sum(sizes[group] for group in groups)
    taken, count = set(), 0
    for group in groups[1:]:  # one group of each class is always trained on
        if abs(count + sizes[group] - wanted) < abs(count - wanted):
            taken.add(group)
            count += sizes[group]
    return taken


def _smallest(sizes: Mapping[str, int]) -> str:
    return min(sizes, key=lambda group: (sizes[group], group))
