"""The Merkle tree against the published test vectors of RFC 6962's reference implementation."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.journal.merkle import CompactRange, inclusion_path, root_of_path, tree_root

_ENTRIES = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def _leaves() -> list[bytes]:
    return [hashlib.sha256(b"\0" + bytes.fromhex(entry)).digest() for entry in _ENTRIES]


def test_an_empty_tree_has_the_root_of_nothing() -> None:
    assert CompactRange().root() == tree_root([]) == hashlib.sha256(b"").digest()


def test_roots_are_the_published_ones() -> None:
    tree = CompactRange()
    roots = []
    for leaf in _leaves():
        tree.add(leaf)
        roots.append(tree.root().hex())

    assert tuple(roots) == _ROOTS
    assert tuple(tree_root(_leaves()[:size]).hex() for size in range(1, 9)) == _ROOTS


@pytest.mark.parametrize("size", range(1, 20))
def test_a_path_leads_to_the_root_from_its_own_place_only(size: int) -> None:
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(size)]
    for index in range(size):
        path = inclusion_path(leaves, index)
        places = [
            at
            for at in range(-1, size + 1)
            if root_of_path(leaves[index], at, size, path) == tree_root(leaves)
        ]

        assert places == [index]


@given(st.integers(1, 40), st.data())
def test_a_path_with_anything_changed_leads_elsewhere(size: int, data: st.DataObject) -> None:
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(leaves, index)
    changed = data.draw(st.sampled_from([path[:-1], [*path, leaves[0]], [leaves[0], *path]]))

    root = root_of_path(leaves[index], index, size, changed)

    assert changed == path or root != tree_root(leaves)
