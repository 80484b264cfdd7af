"""The playground's kernels agree with the OpenCL device, step by step."""

import math
import shutil

import numpy as np
import pytest

import genesis
from genesis.optim import ALGORITHMS, OPTIMIZERS

pytest.importorskip("tools.site.kernels", reason="not in a checkout")
from tools.site import kernels, wasm

wasmtime = pytest.importorskip("wasmtime", reason="wasmtime, which runs WebAssembly, is not installed")
pytestmark = pytest.mark.skipif(not (shutil.which("clang") and shutil.which("wasm-ld")),
                                reason="clang and wasm-ld, which compile to WebAssembly, are not installed")

# Settings by which every optimizer's variants are reached, where it has them.
VARIANTS = [{}, {"weight_decay": 0.1}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.9, "dampening": 0.5}, {"amsgrad": True}, {"centered": True},
            {"centered": True, "momentum": 0.5}, {"lr_decay": 0.1, "initial_accumulator_value": 0.5},
            {"rho": 0.5, "eps": 1e-2}, {"etas": [0.3, 2.0], "step_sizes": [0.01, 0.1]}, {"lambd": 0.5, "t0": 5}]


def cases():
    if shutil.which("clang") and shutil.which("wasm-ld"):
        for stem in wasm.racers()[0]:
            known = wasm.defaults(OPTIMIZERS[stem])
            yield from ((stem, settings) for settings in VARIANTS if settings.keys() <= known.keys())


def rule_of(cls, group):
    name = cls.rule(object.__new__(cls), group)
    return next(rule for rule in kernels.rules(cls.source) if rule.name == name)


class Module:
    """A rule's module, driven as the playground's engine drives it."""

    def __init__(self, cls, group, start):
        self.cls, self.group, self.steps, self.numbers = cls, group, 0, dict(cls.numbers)
        self.rule = rule_of(cls, group)
        self.store = wasmtime.Store()
        module = wasmtime.Module(self.store.engine, wasm.compiled(self.rule))
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)
        base = (self.exports["__heap_base"].value(self.store) + 15) & ~15
        self.size = 4 * len(start)
        self.buffers = [base + self.size * i for i in range(2 + len(self.rule.states))]
        self.row_of_chunk = base + self.size * len(self.buffers)
        self.rows = self.row_of_chunk + 8
        self.write(self.buffers[0], start)
        first = cls.first_values(object.__new__(cls), group)
        for name, buffer in zip(self.rule.states, self.buffers[2:]):
            self.write(buffer, np.full(len(start), first.get(name, 0)))

    def write(self, address, values):
        self.exports["memory"].write(self.store, np.asarray(values, np.float32).tobytes(), address)

    def read(self, address):
        return np.frombuffer(self.exports["memory"].read(self.store, address, address + self.size), np.float32)

    def step(self, gradient):
        self.steps += 1
        scalars = self.cls.scalars(object.__new__(self.cls), self.group, self.steps, *self.numbers.values())
        self.numbers = {name: scalars[name] for name in self.numbers}
        decay = self.group.get("weight_decay", 0) * (self.group["lr"] if self.rule.weight_decay == "DECOUPLED" else 1)
        self.write(self.rows, [decay, 1, *(scalars[name] for name in self.rule.scalars)])
        self.write(self.buffers[1], gradient)
        for i in range(len(gradient)):
            self.exports["at"](self.store, i)
            self.exports["update"](self.store, *self.buffers, self.row_of_chunk, self.rows)
        return self.read(self.buffers[0])


@pytest.mark.parametrize(("stem", "settings"), list(cases()),
                         ids=lambda x: x if isinstance(x, str) else ",".join(map(str, x)) or "plain")
def test_wasm_agrees_with_device_step_by_step(stem, settings):
    cls = OPTIMIZERS[stem]
    settings = {"lr": 0.02, **settings}
    rng = np.random.default_rng(1)
    start = rng.standard_normal(8).astype(np.float32)
    theta = genesis.tensor(start, requires_grad=True)
    optimizer = cls([theta], **settings)
    module = Module(cls, {**wasm.defaults(cls), **settings}, start)
    for step in range(1, 41):
        gradient = (rng.standard_normal(8) * 10.0 ** rng.integers(-3, 3, 8)).astype(np.float32)
        theta.grad = genesis.tensor(gradient)
        optimizer.step()
        state = optimizer.state[theta]
        pairs = {"param": (module.buffers[0], theta.detach().numpy())}
        pairs |= {name: (at, state[name].numpy()) for name, at in zip(module.rule.states, module.buffers[2:])}
        former = {name: np.abs(module.read(address)) for name, (address, _) in pairs.items()}
        here = module.step(gradient).copy()
        for name, (address, there) in pairs.items():
            # A device may fuse a multiplication and an addition, and divide to 2.5 units in the last place; where
            # terms cancel, that counts by their size. Then both go on from the device's values.
            terms = former[name] + np.abs(gradient) * (settings["lr"] if name == "param" else 1)
            assert np.all(np.abs(module.read(address) - there) <= 2e-6 * (terms + np.abs(there))), (name, step)
            module.write(address, there)
    assert np.abs(here - start).min() > 0


def test_every_rule_is_compiled_and_small():
    for cls in OPTIMIZERS.values():
        for rule in kernels.rules(cls.source):
            assert 100 < len(wasm.compiled(rule)) < 4096, rule.name


def test_playground_has_every_optimizer_or_says_why_not():
    racers, left_out = wasm.racers()
    assert set(racers) | set(left_out) == set(ALGORITHMS)
    assert all(left_out.values())
    assert {"sgd", "adam", "adamw", "rmsprop", "lion"} <= set(racers)


def test_translation_refuses_what_it_does_not_know():
    def scalars(self, group, step):
        return {"x": group.pop("lr")}

    with pytest.raises(wasm.TranslationError, match="pop"):
        wasm.translated(scalars, "group, step")


@pytest.mark.skipif(not shutil.which("node"), reason="node, which runs JavaScript, is not installed")
def test_translated_scalars_are_those_of_python(tmp_path):
    import json
    import subprocess

    groups = {}
    for stem in wasm.racers()[0]:
        known = wasm.defaults(OPTIMIZERS[stem])
        groups[stem] = [{**known, "lr": 0.37, **v} for v in VARIANTS if v.keys() <= known.keys()]
    (tmp_path / "rules.mjs").write_text(wasm.script(), encoding="utf-8")
    (tmp_path / "run.mjs").write_text("""
import { RULES } from "./rules.mjs";
const groups = JSON.parse(process.argv[2]), found = [];
for (const [name, list] of Object.entries(groups)) for (const group of list) for (const step of [1, 2, 3, 100, 12345])
    found.push([name, step, RULES[name].rule(group), RULES[name].scalars(group, step), RULES[name].first(group)]);
console.log(JSON.stringify(found));
""", encoding="utf-8")
    done = subprocess.run(["node", str(tmp_path / "run.mjs"), json.dumps(groups)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = iter(json.loads(done.stdout))
    for stem, several in groups.items():
        cls = OPTIMIZERS[stem]
        plain = object.__new__(cls)
        for group in several:
            for step in (1, 2, 3, 100, 12345):
                name, at, rule, scalars, first = next(found)
                assert (name, at, rule, first) == (stem, step, cls.rule(plain, group), cls.first_values(plain, group))
                expected = cls.scalars(plain, group, step)
                assert scalars.keys() == expected.keys()
                for key in expected:
                    assert math.isclose(scalars[key], expected[key], rel_tol=1e-14), (stem, key)
