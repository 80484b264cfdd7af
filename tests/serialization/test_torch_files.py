"""Files that PyTorch wrote, or could have written."""

from __future__ import annotations

import base64
import collections
import io
import zlib

import numpy as np
import pytest
from checkpoint_builders import load, refused

import genesis

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
FORMS = {"zip": {}, "stream": {"_use_new_zipfile_serialization": False}}

# torch.save of OrderedDict(weight=arange(6.).reshape(2, 3), bias=tensor([0.5, -1.5]).half(), tied=weight.t(),
# steps=tensor(7)) with a module's _metadata, by PyTorch 2.13
WRITTEN_BY_TORCH = {
    "zip": (
        "c-p0vTWb?R6vro<WOGr|i<h)j>)j?&(_A)}TD2v}Dy(1|FND5?O|s1{-DY#L(-wt7L0a%d^b3gJqEG5)&<F9sH<2m`J_$ZLv)gWWx1_1<"
        "klBIk{Qu`SGv~}s3tk^W!64ezdQm?T+cjBPlE&&H789*`l`lrntfQ?mwVI}?QVlCwQx89A*QK^pzoXP}7*M<fo>-YBX3LV&kTEbdtP#sZ"
        "Wf3c?9<H>d>Y}37D_CmkTD!884udxqD+h=|Co{!{1U^#|=2cC^56wTr;4gc~oFuSiFBxmCMF<EihTx2V1V-?#LrCxno^=SnkSWCx3`a|F"
        "tW1`Qs*0#XL?&_MZSQ-cI%iq;7}hE1l>-8Uq0g{fgMPuY2FFdi6BtgG;FMv96{!wU(@yrwtZaY`P?c9;)?rZaP@W-Ec^bo+5}YmjjTK5Q"
        "9flnw_qArjA~|P}q~SdA^kBF^JmYcG=OTtnCAhq}0$0i*GO4m4VUeB^Ts7X0l<5&dYz5-RZZ1h}og5Hc6Fj=ER}<4hAUOZ-*VqP$K>KvZ"
        "G>9Ufl?I79t-T=P%9a~nB>P02HhzD7PEl#^>@<Y(J5F22TM<>I(Oi(4m@j5rskN_`<0!!7GW=vn2xd=!J~U|oRG(r=qsht_Ck_&KyQvDs"
        "sze#qZhaf1sm|`n5J9&cRW+96i#HAdV7jhOlE)PJk-kd$+bK#EeYN>|fV>#!LNw|mO7X?mzKKu)y{EB0{P{jY%fZ(r)|4|=nlIiw%=XU)"
        "wwx(L>+_~Yg9i6x=s^<}gO$kngF<A&H1fwcjmO>dZy2R_3cy&tF0~a>0nbEwdsdV>UrhWbNV33<bA>{I%a7->Nv@F3WRt0MKA%nJl3XUw"
        "6|x+c8qXPJ8mR|g#t28up!85!i_?A?^zI^ee+S%Z`vnknC<6@YbbYu@>_t4}FqyHN?7BJJKK4TFbNGC+`B)c#TW+tKh(rFwi(Iwq*4nGU"
        "sr}*BrrcV4_ByqXd@gO;t+nT0k3;*#rtPrr_Ouvwh)aIdC1IxpmL1(rZ|`+W8FGzx8FT#W-!50ysNBgd2J_3|XH8AWm~YPg2X?~a<N"
    ),
    "stream": (
        "c-n1}%Wl&^6o!4tg&JDQopNotIv_<&YLawC7pOuSuI^?w$a3r<9%Sqs&v6k*k+Nw7JOc}sJO%H=BOtNh*iH+TGV+Y=GiUzqpE)x%zFP60"
        "Z@a(O-~D*C)}9*Af0;B+K(qO(rfK6W#WYA`Z(n3erU~ejz?W$zmWZ+NL=s9r0pl~bD2N}&!c+2-P+(4=X7f4)Rg`83b!Kpr{$zsCU^QMV"
        "G}2@QO;*cuVg`hXMSw(6*2^punFycA04>m3F6cII(25U2jv@pjz%&b@wwI%fmE~n(n9DfyP$VkNy#1~Prfu_PL8nZAB%oF;v3BFs$Gs|O"
        "L7lHq&bH(9yZx=r?atO<Fn~sBG#KaPt?>fk#A~K8gPAi}VkXmPV10=SPbU#hxv*SrWhi|GD-ltnL()?}etQHu{SVZ0oJXC0x6^~wsL2ch"
        "oGAeZaF*!@aIO+Rk8r_-i={Y95yGWPJX&b^a#UGeE0j!T%-{;s3&&S0wQC61UAR%z1I1Xu&0}7lQ6-MNt{?N-+Z=Qp2R4YH6X6ySTCGa;"
        "Ho_ej?&cG?$Cqe{_g<hM`sl;`a^B_?)Sxwi2W2e|FVRD$E2V~1^f$#tTW~V^A`8Z%otvU<X!ADEe(Lkj=KS5z{%_OAH0;nreM<fN&R@+F"
        "!B+"
    ),
}


def written(obj, form="zip", **options):
    out = io.BytesIO()
    torch.save(obj, out, **FORMS[form], **options)
    return out.getvalue()


def equal(ours, theirs):
    """The same object, but for the kinds that load is documented to change."""
    if isinstance(theirs, torch.Tensor):
        assert type(ours) is genesis.Tensor
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert ours.requires_grad == theirs.requires_grad
        found, wanted = ours.detach().numpy(), theirs.detach()
        if wanted.dtype is torch.bfloat16:
            assert found.dtype.name == "bfloat16"
            found, wanted = found.astype(np.float32), wanted.float()
        np.testing.assert_array_equal(found, wanted.numpy())
    elif isinstance(theirs, dict):
        assert type(ours) is dict
        assert list(ours) == list(theirs)
        for key in ours:
            equal(ours[key], theirs[key])
    elif isinstance(theirs, list | tuple):
        assert type(ours) is (list if isinstance(theirs, list) else tuple)
        assert len(ours) == len(theirs)
        for mine, its in zip(ours, theirs):
            equal(mine, its)
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs


@pytest.mark.parametrize("form", FORMS)
def test_file_of_torch_loads_without_torch(form):
    loaded = load(zlib.decompress(base64.b85decode(WRITTEN_BY_TORCH[form])))
    assert list(loaded) == ["weight", "bias", "tied", "steps"]
    assert loaded["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert loaded["tied"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert (loaded["bias"].dtype, loaded["bias"].tolist()) == (genesis.float16, [0.5, -1.5])
    assert (loaded["steps"].dtype, loaded["steps"].item()) == (genesis.int64, 7)


@needs_torch
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_objects_and_tensors(form, protocol):
    obj = {
        "tensor": torch.arange(6.0).reshape(2, 3),
        "plain": [1, -1, 2**40, -(2**70), 1.5, float("inf"), None, True, "å\ud800", "", b"\x00\xff", (), (1, (2,))],
        "ordered": collections.OrderedDict(b=1, a=2),
        0: {1: 2, 1.5: 3, None: 4, b"x": 5},
        "set": {1, "a"},
        "empty": [[], {}, set(), torch.ones(0), torch.ones(2, 0, 3)],
        "long": list(range(3000)),
        "scalar": torch.tensor(2.5),
    }
    equal(load(written(obj, form, pickle_protocol=protocol)), obj)


DTYPES = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool uint16 uint32 uint64"


@needs_torch
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES.split())
def test_dtypes(form, dtype):
    if dtype == "float64" and not genesis.device().fp64:
        pytest.skip("the device has no float64")
    wanted = torch.tensor([0, 1, 100, 3]).to(getattr(torch, dtype))
    loaded = load(written({"a": wanted}, form))["a"]
    known = {d.name for d in genesis.dtypes.ALL}
    assert loaded.dtype.name == (dtype if dtype in known else "int64" if dtype in ("uint32", "uint64") else "int32")
    assert loaded.tolist() == wanted.tolist()


@needs_torch
@pytest.mark.parametrize("form", FORMS)
def test_float8(form):
    wanted = torch.tensor([0.5, -448.0]).to(torch.float8_e4m3fn)
    assert load(written(wanted, form)).tolist() == [0.5, -448.0]


@needs_torch
@pytest.mark.parametrize("form", FORMS)
def test_views(form):
    base = torch.arange(24.0)
    views = [
        base.reshape(2, 3, 4).permute(2, 0, 1),
        base[5:20:3],
        base[7],
        base[:1].expand(3, 4),
        base.as_strided((3, 4), (2, 1), 5),
        base[3:3],
        torch.ones(2, dtype=torch.complex64).real,
    ]
    equal(load(written([base, *views], form)), [base, *views])


@needs_torch
@pytest.mark.parametrize("form", FORMS)
def test_tied_tensors_stay_one(form):
    weight = torch.nn.Parameter(torch.ones(3))
    loaded = load(written({"a": weight, "b": weight, "c": weight.data, "d": weight.data, "e": weight[:2].data}, form))
    assert loaded["a"] is loaded["b"]
    assert loaded["c"] is loaded["d"]
    assert loaded["a"].requires_grad
    assert not loaded["c"].requires_grad
    assert loaded["e"].tolist() == [1, 1]


@needs_torch
@pytest.mark.parametrize("form", FORMS)
def test_parameters_and_attributes(form):
    plain, parameter = torch.ones(2), torch.nn.Parameter(torch.ones(2))
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    marked, marked_parameter = torch.ones(2), torch.nn.Parameter(torch.zeros(2))
    marked.note = marked_parameter.note = {"any": "thing"}
    obj = [plain, parameter, frozen, marked, marked_parameter]
    equal(load(written(obj, form)), obj)


@needs_torch
@pytest.mark.parametrize("form", FORMS)
def test_training_state(form):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten())
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.8, 0.99))
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 2, 5])
    model(torch.randn(2, 1, 5, 5)).square().mean().backward()
    optimizer.step()
    scheduler.step()
    obj = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "name": "run"}
    equal(load(written(obj, form)), obj)
    loaded = load(written(scheduler.state_dict(), form))
    assert loaded["milestones"] == {2: 2, 5: 1}


@needs_torch
def test_small_values_of_torch_become_plain():
    obj = {"size": torch.Size([2, 3]), "device": torch.device("cuda", 1), "cpu": torch.device("cpu")}
    obj |= {"dtype": torch.bfloat16, "dtypes": (torch.float32, [torch.long])}
    loaded = load(written(obj))
    assert loaded == {
        "size": (2, 3),
        "device": "cuda:1",
        "cpu": "cpu",
        "dtype": genesis.bfloat16,
        "dtypes": (genesis.float32, [genesis.int64]),
    }


@needs_torch
@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_checkpoint_for_genesis_is_refused(form):
    linear = torch.nn.Linear(1, 1)
    cases = {
        "state_dict": linear,
        "_rebuild_sparse_tensor": torch.eye(2).to_sparse(),
        "negative bit": torch.ones(2, dtype=torch.complex64).conj().imag,
        "bare storage": torch.ones(2).untyped_storage(),
        "uint16, a dtype": torch.uint16,
        "scalar": np.float64(1.0),
    }
    for message, obj in cases.items():
        assert message in refused(written([obj], form))


@needs_torch
def test_checksums_are_optional(recwarn):
    obj = {"a": torch.arange(3.0)}
    torch.serialization.set_crc32_options(False)
    try:
        data = written(obj)
    finally:
        torch.serialization.set_crc32_options(True)
    equal(load(data), obj)


def test_error_names_the_file(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"something else")
    with pytest.raises(genesis.CheckpointError, match=r"weights\.pt"):
        genesis.load(path)
    with pytest.raises(FileNotFoundError):
        genesis.load(tmp_path / "missing.pt")
