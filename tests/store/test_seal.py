"""A JSON file with a seal is what was written, or is refused."""

import json

import pytest

from bench.store.seal import check_seal, sealed

CONTENT = b'{"metrics":{"auroc":0.945},"note":"a, \\"sha256\\":\\"x\\"}"}'


def test_a_sealed_object_is_the_object_with_one_field_more():
    made = sealed(CONTENT)
    check_seal(made)
    assert made.endswith(b'"}\n')
    read = json.loads(made)
    assert len(read.pop("sha256")) == 64
    assert read == json.loads(CONTENT)


def test_no_bit_can_turn_without_notice_or_harm():
    made = sealed(CONTENT)
    for place in range(len(made)):
        for bit in range(8):
            turned = bytearray(made)
            turned[place] ^= 1 << bit
            try:
                check_seal(bytes(turned))
                read = json.loads(turned)
            except ValueError:
                continue
            assert read["metrics"] == {"auroc": 0.945}  # the seal's own name was hit


@pytest.mark.parametrize("content", [CONTENT, b"{}\n", b"", json.dumps({"sha256": "x"}).encode()])
def test_what_has_no_seal_passes(content):
    check_seal(content)


def test_a_seal_that_was_copied_from_another_file_is_refused():
    other = sealed(CONTENT.replace(b"0.945", b"0.845"))
    with pytest.raises(ValueError, match="its checksum is wrong"):
        check_seal(sealed(CONTENT)[:-68] + other[-68:])
