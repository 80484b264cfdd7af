// Runs an optimizer's kernel: the shipped rule with update.h around it, compiled to WebAssembly.
import { RULES } from "./rules.js";
import { noise } from "./surfaces.js";

const modules = new Map();

function moduleOf(kernel) {
    if (!modules.has(kernel)) {
        const bytes = Uint8Array.from(atob(kernel.wasm), (c) => c.charCodeAt(0));
        modules.set(kernel, new WebAssembly.Module(bytes));
    }
    return modules.get(kernel);
}

// One optimizer with two parameters. `settings` are its hyperparameters; the others have their defaults.
export class Optimizer {
    constructor(name, settings, start) {
        this.rule = RULES[name];
        this.group = { ...this.rule.defaults, ...settings };
        this.kernel = this.rule.kernels[this.rule.rule(this.group)];
        this.device = new WebAssembly.Instance(moduleOf(this.kernel)).exports;
        this.steps = 0;
        this.numbers = { ...this.rule.numbers };
        // Addresses: two floats each for parameters, gradients and states, then row_of_chunk, then the scalars.
        const base = (this.device.__heap_base.value + 15) & ~15;
        this.buffers = Array.from({ length: 2 + this.kernel.states.length }, (_, i) => base + 8 * i);
        this.rowOfChunk = base + 8 * this.buffers.length;
        this.rows = this.rowOfChunk + 8;
        this.floats = new Float32Array(this.device.memory.buffer);
        this.floats.set(start, this.buffers[0] / 4);
        const first = this.rule.first(this.group);
        this.kernel.states.forEach((name, i) => {
            const value = first[name] ?? 0;
            this.floats.set([value, value], this.buffers[i + 2] / 4);
        });
    }

    get params() {
        const at = this.buffers[0] / 4;
        return [this.floats[at], this.floats[at + 1]];
    }

    step(gradient) {
        this.steps += 1;
        const { group, rule, kernel } = this;
        const scalars = rule.scalars(group, this.steps, ...Object.values(this.numbers));
        for (const name in this.numbers) this.numbers[name] = scalars[name];
        const decay = (group.weight_decay || 0) * (rule.decay === "DECOUPLED" ? group.lr : 1);
        this.floats.set([decay, 1, ...kernel.scalars.map((name) => scalars[name])], this.rows / 4);
        this.floats.set(gradient, this.buffers[1] / 4);
        for (let i = 0; i < 2; i++) {
            this.device.at(i);
            this.device.update(...this.buffers, this.rowOfChunk, this.rows);
        }
    }
}

// The whole way of an optimizer down a surface, as far as it has been asked for.
export class Racer {
    constructor(name, settings, course) {
        this.course = course;
        this.optimizer = new Optimizer(name, settings, course.start);
        this.path = [];
        this.losses = [];
        this.lost = -1;                                       // the step at which it left for infinity
        this.note();
    }

    note() {
        const [x, y] = this.optimizer.params, { surface, parameter } = this.course;
        const loss = surface.value(x, y, parameter);
        this.path.push([x, y]);
        this.losses.push(loss);
        if (!Number.isFinite(loss) || Math.abs(x) + Math.abs(y) > 1e9) this.lost = this.path.length - 1;
    }

    runTo(step) {
        const { surface, parameter, noise: sigma, seed } = this.course;
        while (this.path.length <= step && this.lost < 0) {
            const [x, y] = this.path[this.path.length - 1];
            const [gx, gy] = surface.gradient(x, y, parameter);
            const [nx, ny] = sigma ? noise(seed, this.path.length) : [0, 0];
            this.optimizer.step([gx + sigma * nx, gy + sigma * ny]);
            this.note();
        }
        return this;
    }

    at(step) {
        const i = Math.min(step, this.path.length - 1);
        return { point: this.path[i], loss: this.losses[i], lost: this.lost >= 0 && step >= this.lost };
    }
}

// The learning rate, on a grid of four a decade, with the lowest loss after some steps.
export function bestRate(name, settings, course, steps) {
    let best = null;
    for (let i = -20; i <= 6; i++) {
        const lr = Number((10 ** (i / 4)).toPrecision(2));
        const racer = new Racer(name, { ...settings, lr }, course).runTo(steps);
        const tail = racer.losses.slice(-Math.max(1, Math.floor(steps / 10)));       // not just a lucky last step
        const loss = racer.lost < 0 ? Math.max(...tail) : Infinity;
        if (best === null || loss < best.loss) best = { lr, loss };
    }
    return best.lr;
}
