// What the reader has chosen, and its form in the address of the page, so that a race can be shared.
import { RULES } from "./rules.js";
import { SURFACES } from "./surfaces.js";

export const LENGTH = 400;                                    // steps of a race, unless chosen otherwise
export const MOMENTUM = { sgd: "momentum" };

// An optimizer as racers name it: its own title, and what is special about its settings.
export function label({ name, settings }) {
    const { title, defaults } = RULES[name];
    const special = [];
    if (settings.nesterov) special.push("Nesterov");
    else if (settings.momentum) special.push("momentum");
    for (const [key, value] of Object.entries(settings))
        if (value === true && key !== "nesterov" && !defaults[key]) special.push(key);
    return [title, ...special].join(", ");
}

// The learning rate that suits an optimizer on a surface.
export function suggestedRate({ name, settings }, surface) {
    const kind = name === "sgd" && settings.nesterov ? "nesterov" : name === "sgd" && settings.momentum ? "momentum" : name;
    return surface.rates[kind] ?? surface.rates.other;
}

export function standard(surfaceName = "rosenbrock") {
    const surface = SURFACES[surfaceName];
    const racers = [{ name: "sgd", settings: { momentum: 0 } }, { name: "sgd", settings: { momentum: 0.9 } },
                    { name: "rmsprop", settings: {} }, { name: "adam", settings: {} }].filter(({ name }) => RULES[name]);
    racers.forEach((racer) => { racer.settings.lr = suggestedRate(racer, surface); });
    return { surface: surfaceName, parameter: surface.parameter?.value ?? 0, noise: 0, seed: 0, length: LENGTH,
             start: [...surface.start], racers };
}

const text = (value) => (Array.isArray(value) ? value.join("_") : String(value));

export function write(state) {
    const query = new URLSearchParams({ on: state.surface, from: state.start.map((v) => Number(v.toPrecision(6))).join("_") });
    if (SURFACES[state.surface].parameter) query.set("k", String(state.parameter));
    if (state.noise) query.set("noise", String(state.noise));
    if (state.seed) query.set("seed", String(state.seed));
    if (state.length !== LENGTH) query.set("steps", String(state.length));
    for (const { name, settings } of state.racers)
        query.append("r", [name, ...Object.entries(settings).map(([key, value]) => `${key}:${text(value)}`)].join("~"));
    return "#" + query.toString();
}

// The state that an address holds. What is missing or makes no sense has its standard value.
export function read(hash) {
    const query = new URLSearchParams(hash.replace(/^[#?]/, ""));
    const name = Object.hasOwn(SURFACES, query.get("on") ?? "") ? query.get("on") : "rosenbrock";
    const state = standard(name), surface = SURFACES[name];
    const number = (value, low, high, otherwise) => {
        const n = value === null || value === "" ? NaN : Number(value);
        return Number.isFinite(n) ? Math.min(high, Math.max(low, n)) : otherwise;
    };
    const start = (query.get("from") ?? "").split("_").map(Number);
    if (start.length === 2 && start.every(Number.isFinite)) state.start = start;
    if (surface.parameter) state.parameter = number(query.get("k"), surface.parameter.low, surface.parameter.high, surface.parameter.value);
    state.noise = number(query.get("noise"), 0, 20, 0);
    state.seed = Math.round(number(query.get("seed"), 0, 1e6, 0));
    state.length = Math.round(number(query.get("steps"), 20, 5000, LENGTH));
    const racers = query.getAll("r").map((entry) => {
        const [optimizer, ...pairs] = entry.split("~");
        if (!Object.hasOwn(RULES, optimizer)) return null;
        const { defaults } = RULES[optimizer], settings = {};
        for (const pair of pairs) {
            const [key, value] = pair.split(":");
            if (!Object.hasOwn(defaults, key)) continue;
            if (typeof defaults[key] === "boolean") settings[key] = value === "true";
            else if (Array.isArray(defaults[key])) {
                const parts = value.split("_").map(Number);
                if (parts.length === defaults[key].length && parts.every(Number.isFinite)) settings[key] = parts;
            } else if (Number.isFinite(Number(value))) settings[key] = Number(value);
        }
        const racer = { name: optimizer, settings };
        settings.lr ??= suggestedRate(racer, surface);
        return racer;
    }).filter(Boolean);
    if (racers.length) state.racers = racers.slice(0, 12);
    return state;
}
