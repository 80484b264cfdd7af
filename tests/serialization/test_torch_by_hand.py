"""Files of PyTorch put together by hand: what older releases wrote, and archives that lie about their records."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
from checkpoint_builders import (
    floats,
    load,
    name,
    number,
    pickled,
    refused,
    storage,
    stream_file,
    tensor,
    text,
    tup,
    zip_file,
)

pytestmark = pytest.mark.usefixtures("bounded")


@pytest.mark.parametrize("form", [zip_file, stream_file])
@pytest.mark.parametrize("function", ["_rebuild_tensor", "_rebuild_tensor_v2"])
def test_both_generations_of_tensors(form, function):
    assert load(form(pickled(tensor(function=function)))).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_storage_views_of_the_first_releases():
    view = tensor(storage(view=("v", 2, 4)), offset=1, size=(3,), stride=(1,))
    assert load(stream_file(pickled(view))).tolist() == [3, 4, 5]
    beyond = tensor(storage(view=("v", 2, 4)), offset=2, size=(3,), stride=(1,))
    assert "reaches to element 5, but the storage has 4" in refused(stream_file(pickled(beyond)))
    beyond = tensor(storage(view=("v", 3, 4)), size=(1,), stride=(1,))
    assert "reaches beyond it" in refused(stream_file(pickled(beyond)))


def test_strings_integers_and_dicts_of_python_2():
    pairs = b"](" + b"](U\x01a" + b"I12345678901\n" + b"e](T\x01\0\0\0b" + b"I01\nee"
    ordered = name("collections", "OrderedDict") + tup(pairs) + b"R"
    loaded = load(stream_file(pickled(ordered), {}))
    assert loaded == {"a": 12345678901, "b": True}
    assert load(stream_file(pickled(name("__builtin__", "set") + tup(b"](K\x01K\x02e") + b"R"), {})) == {1, 2}


def test_metadata_of_an_ordered_dict_is_dropped():
    ordered = name("collections", "OrderedDict") + b")R" + text("a") + number(1) + b"s"
    assert load(zip_file(pickled(ordered + b"}" + text("_metadata") + b"}sb"), {})) == {"a": 1}


def test_tensors_inside_tuples_and_shared_lists():
    # (list, (list, tensor)), the list twice the same one, with the tuple's tensor in it
    shared = b"](" + tensor() + b"eq\x01"
    loaded = load(zip_file(pickled(tup(shared, tup(b"h\x01", tensor())))))
    assert loaded[0] is loaded[1][0]
    assert loaded[0][0] is loaded[1][1]
    assert loaded[0][0].shape == (2, 3)


def test_list_that_contains_itself_through_a_tuple():
    loaded = load(zip_file(pickled(b"]q\x01" + tup(b"h\x01", tensor()) + b"a")))
    assert loaded[0][0] is loaded
    assert loaded[0][1].shape == (2, 3)


def test_big_endian_file_is_refused():
    data = zip_file(pickled(tensor())).replace(b"little", b"bigbig")
    assert "checksum" in refused(data)
    assert "not little-endian" in refused(_with_order(b"big"))


def _with_order(order):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/data.pkl", pickled(tensor()))
        archive.writestr("a/byteorder", order)
        archive.writestr("a/data/0", floats(6))
    return out.getvalue()


def test_torchscript_and_tar_files_are_named_as_such():
    assert "TorchScript" in refused(zip_file(pickled(b"N"), {}, more={"constants.pkl": b""}))
    tar = b"sys_info".ljust(257, b"\0") + b"ustar\x0000"
    assert "tar archive" in refused(tar.ljust(1024, b"\0"))
    assert "empty" in refused(b"")
    assert "neither safetensors nor PyTorch" in refused(b"GGUF\0\0\0\0")
    assert "no data.pkl" in refused(zip_file(pickled(b"N"), {}, prefix="a/b"))
    assert "not one that torch.save wrote" in refused(pickled(b"N"))


def test_data_that_does_not_match_its_checksum_is_refused():
    data = zip_file(pickled(tensor()))
    broken = data.replace(floats(6), floats(5) + b"\0\0\0\1")
    assert broken != data
    assert "'archive/data/0' at byte" in refused(broken)


def test_storages_must_fill_the_stream():
    pickle_bytes = pickled(tensor())
    whole = stream_file(pickle_bytes)
    assert load(whole).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert "the file at byte" in refused(whole + b"\0")
    assert "should end at byte" in refused(whole[:-1])
    assert "should have 6 elements, but has 5" in refused(stream_file(pickle_bytes, {"0": (5, floats(5))}))
    assert "but has 18446744073709551615" in refused(stream_file(pickle_bytes, {"0": (-1, b"")}))
    assert "does not hold storage '0'" in refused(stream_file(pickle_bytes, {}))
    assert "'1', unknown" in refused(stream_file(pickle_bytes, keys=["0", "1"]))
    assert "twice" in refused(stream_file(pickle_bytes, keys=["0", "0"]))
    assert "version 1002" in refused(whole.replace(pickled(number(1001)), pickled(number(1002))))


def test_records_must_be_what_the_pickle_says():
    pickle_bytes = pickled(tensor())
    assert "does not hold" in refused(zip_file(pickle_bytes, {}))
    assert "should take 24 bytes" in refused(zip_file(pickle_bytes, {"0": floats(5)}))
    assert "should take 24 bytes" in refused(zip_file(pickle_bytes, {"0": floats(7)}))
    outside = pickled(tensor(storage("../../data.pkl")))
    assert "does not hold" in refused(zip_file(outside))
    assert "compressed" in refused(zip_file(pickle_bytes, {"0": bytes(10**7)}, compression=zipfile.ZIP_DEFLATED))


def test_archives_that_lie_are_refused():
    data = zip_file(pickled(tensor()))
    central = data.index(b"PK\x01\x02")

    def changed(offset, replacement):
        return data[: central + offset] + replacement + data[central + offset + len(replacement) :]

    assert "encrypted" in refused(changed(8, b"\x01\0"))
    assert "compressed" in refused(changed(10, b"\x08\0"))
    assert "compressed" in refused(changed(24, struct.pack("<I", 10**9)))
    refused(changed(20, struct.pack("<II", 10**9, 10**9)))
    refused(changed(42, struct.pack("<I", 5)))
    refused(changed(42, struct.pack("<I", 2**32 - 1)))
    refused(data[:central])
    refused(data[: central + 60])
    doubled = io.BytesIO()
    with zipfile.ZipFile(doubled, "w") as archive:
        archive.writestr("a/data.pkl", pickled(b"N"))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a/data.pkl", pickled(b"N"))
    assert "twice" in refused(doubled.getvalue())
    # every entry of the directory at the first record: a few bytes that count as many records
    second = data.index(b"PK\x01\x02", central + 4)
    overlapping = data[: second + 42] + struct.pack("<I", 0) + data[second + 46 :]
    assert "overlaps" in refused(overlapping)
