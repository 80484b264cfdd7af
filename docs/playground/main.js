// The playground's page, and the small race on the home page.
import { RULES } from "./rules.js";
import { SURFACES } from "./surfaces.js";
import { Racer, bestRate } from "./engine.js";
import { Map2D, colour, drawChart } from "./drawing.js";
import { label, read, standard, suggestedRate, write } from "./state.js";

function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
        else if (value === true) made.setAttribute(name, "");
        else if (value !== false && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
}

const short = (v) => (!Number.isFinite(v) ? "∞" : v === 0 ? "0" : v >= 1e4 || v < 1e-3 ? v.toExponential(1) : String(Number(v.toPrecision(3))));

// A race: a state, its racers' ways, and the step that is shown.
class Race {
    constructor(state) {
        this.step = 0;
        this.use(state);
    }

    use(state) {
        this.state = state;
        const surface = SURFACES[state.surface];
        this.course = { surface, parameter: state.parameter, noise: state.noise, seed: state.seed, start: state.start,
                        key: `${state.surface} ${state.parameter}` };
        this.racers = state.racers.map((entry, place) => (
            { racer: new Racer(entry.name, entry.settings, this.course), place, entry }));
        this.to(Math.min(this.step, state.length));
    }

    to(step) {
        this.step = Math.max(0, Math.min(step, this.state.length));
        this.racers.forEach(({ racer }) => racer.runTo(this.step));
    }
}

// Calls `advance` so many times a second until it returns false.
class Clock {
    constructor(advance) { this.advance = advance; this.playing = false; this.speed = 30; }

    start() {
        if (this.playing) return;
        this.playing = true;
        let last = performance.now(), due = 0;
        const tick = (now) => {
            if (!this.playing) return;
            due += ((now - last) / 1000) * this.speed;
            last = now;
            const steps = Math.min(Math.floor(due), 200);
            due -= Math.floor(due);
            if (steps > 0 && !this.advance(steps)) this.playing = false;
            else requestAnimationFrame(tick);
        };
        requestAnimationFrame(tick);
    }

    stop() { this.playing = false; }
}

const onLookChange = (draw) => {
    new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["data-md-color-scheme"] });
};

// The home page ----------------------------------------------------------------------------------------------------

function small(root) {
    const canvas = element("canvas", { "aria-label": "Four optimizers descend Rosenbrock's valley", role: "img" });
    const legend = element("div", { class: "race-legend" });
    const again = () => { race.to(0); clock.start(); };
    const button = element("button", { type: "button", class: "race-again", onclick: again }, "Run again");
    root.append(canvas, element("div", { class: "race-below" }, legend, button));
    const map = new Map2D(canvas), race = new Race({ ...standard("rosenbrock"), length: 300 });
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const draw = () => {
        map.draw(race.course, race.racers, race.step, false);
        legend.replaceChildren(...race.racers.map(({ racer, place, entry }) => element("span", {},
            element("i", { style: `background:${colour(place)}` }), `${label(entry)} `,
            element("b", {}, short(racer.at(race.step).loss)))));
    };
    const clock = new Clock((steps) => { race.to(race.step + steps); draw(); return race.step < race.state.length; });
    clock.speed = 40;
    if (still) race.to(race.state.length);
    else clock.start();
    draw();
    new ResizeObserver(draw).observe(canvas);
    onLookChange(draw);
    canvas.addEventListener("click", again);
    window.playground = { race };
}

// The playground ---------------------------------------------------------------------------------------------------

class Playground {
    constructor(root) {
        this.root = root;
        this.race = new Race(read(location.hash || location.search));      // links from other pages have a query
        this.clock = new Clock((steps) => {
            this.race.to(this.race.step + steps);
            const going = this.race.step < this.race.state.length;
            if (!going) {
                this.clock.stop();
                this.announce();
            }
            this.draw();
            return going;
        });
        this.build();
        if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.clock.start();
        this.refresh();
        new ResizeObserver(() => this.draw()).observe(this.canvas);
        onLookChange(() => { this.buildRacers(); this.draw(); });
        window.addEventListener("hashchange", () => {
            if (location.hash !== write(this.race.state)) { this.race.use(read(location.hash)); this.refresh(); }
        });
    }

    build() {
        this.canvas = element("canvas", { tabindex: "0", role: "application", "aria-describedby": "race-help",
            "aria-label": "The surface. Arrow keys move the starting point, Enter and the space bar play and pause." });
        this.chart = element("canvas", { role: "img", "aria-label": "Loss by step, on a logarithmic scale" });
        this.status = element("p", { class: "race-status", "aria-live": "polite" });
        this.map = new Map2D(this.canvas);
        this.pointer();
        this.play = element("button", { type: "button", class: "race-play", onclick: () => this.toggle() });
        const speed = element("select", { id: "race-speed", onchange: (e) => { this.clock.speed = Number(e.target.value); } },
            ...[[5, "5"], [15, "15"], [30, "30"], [60, "60"], [200, "200"]].map(([value, name]) => element("option",
                { value, selected: value === 30 }, `${name} steps/s`)));
        this.slider = element("input", { type: "range", id: "race-step", min: 0, step: 1, "aria-label": "step",
            oninput: (e) => { this.clock.stop(); this.race.to(Number(e.target.value)); this.draw(); } });
        this.count = element("output", { for: "race-step" });
        const surface = element("select", { id: "race-surface", onchange: (e) => this.chooseSurface(e.target.value) },
            ...Object.entries(SURFACES).map(([name, { title }]) => element("option", { value: name }, title)));
        this.surface = surface;
        this.about = element("p", { class: "race-about" });
        this.parameter = this.range("race-parameter", "condition κ", 0, 1, (v) => this.change({ parameter: v }));
        this.noise = this.range("race-noise", "noise σ", 0, 1, (v) => this.change({ noise: v }));
        this.list = element("div", { class: "race-list" });
        const add = element("select", { id: "race-add", "aria-label": "Add an optimizer", onchange: (e) => {
            this.add(e.target.value);
            e.target.value = "";
        } }, element("option", { value: "" }, "Add an optimizer …"),
            ...Object.entries(RULES).map(([name, { title }]) => element("option", { value: name }, title)));
        const button = (text, title, action) => element("button", { type: "button", title, onclick: action }, text);
        this.root.append(
            element("div", { class: "race-stage" }, this.canvas,
                element("div", { class: "race-bar" }, this.play,
                    button("Step", "One step", () => { this.clock.stop(); this.race.to(this.race.step + 1); this.draw(); this.announce(); }),
                    button("Reset", "Back to the start", () => { this.clock.stop(); this.race.to(0); this.draw(); }),
                    element("label", { class: "race-speed" }, element("span", { class: "race-hidden" }, "Speed"), speed),
                    this.slider, this.count),
                this.chart, this.status),
            element("div", { class: "race-controls" },
                element("label", { class: "race-field", for: "race-surface" }, element("span", {}, "Surface"), surface),
                this.about, this.parameter.field, this.noise.field,
                this.list,
                element("div", { class: "race-bar" }, add,
                    button("Best rates", "Find the learning rate with which each goes furthest in this race", () => this.tune()),
                    button("Start over", "Everything as it was at first", () => this.startOver()),
                    this.share = button("Copy link", "The address of this race", () => this.copy()))));
    }

    // A slider with its value; `set` changes it without calling `action`.
    range(id, name, low, high, action) {
        const input = element("input", { type: "range", id, min: 0, max: 200, step: 1 }), output = element("output", { for: id });
        const text = element("span", {}, name);
        const field = element("label", { class: "race-field", for: id }, text, input, output);
        const range = { field, low, high, log: false };
        range.value = () => {
            const t = Number(input.value) / 200;
            const v = range.log ? range.low * (range.high / range.low) ** t : range.low + (range.high - range.low) * t;
            return Number(v.toPrecision(3));
        };
        range.set = (value, options = {}) => {
            Object.assign(range, options);
            if (options.name) text.textContent = options.name;
            const t = range.log ? Math.log(value / range.low) / Math.log(range.high / range.low) : (value - range.low) / (range.high - range.low);
            input.value = String(Math.round(200 * Math.max(0, Math.min(1, t))));
            output.textContent = short(value);
            input.setAttribute("aria-valuetext", short(value));
        };
        input.addEventListener("input", () => { const v = range.value(); output.textContent = short(v); action(v); });
        return range;
    }

    pointer() {
        const drop = (event) => {
            const box = this.canvas.getBoundingClientRect();
            const [x, y] = this.map.toSurface(event.clientX - box.left, event.clientY - box.top, this.race.course.surface);
            this.change({ start: [x, y] });
        };
        this.canvas.addEventListener("pointerdown", (event) => {
            this.canvas.setPointerCapture(event.pointerId);
            this.dragging = true;
            drop(event);
        });
        this.canvas.addEventListener("pointermove", (event) => { if (this.dragging) drop(event); });
        const end = () => {
            if (this.dragging && this.race.step === 0) this.clock.start();
            this.dragging = false;
            this.draw();
        };
        this.canvas.addEventListener("pointerup", end);
        this.canvas.addEventListener("pointercancel", end);
        for (const kind of ["focus", "blur"]) this.canvas.addEventListener(kind, () => this.draw());
        this.canvas.addEventListener("keydown", (event) => {
            const { window: [left, right, bottom, top] } = this.race.course.surface;
            const far = event.shiftKey ? 0.1 : 0.02, [x, y] = this.race.state.start;
            const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
            if (move) this.change({ start: [x + move[0] * far * (right - left), y + move[1] * far * (top - bottom)] });
            else if (event.key === "Enter" || event.key === " ") this.toggle();
            else return;
            event.preventDefault();
        });
    }

    change(part) {
        this.race.use({ ...this.race.state, ...part });
        this.save();
        this.draw();
    }

    chooseSurface(name) {
        const surface = SURFACES[name];
        this.clock.stop();
        this.race.step = 0;
        const racers = this.race.state.racers.map((entry) => (
            { ...entry, settings: { ...entry.settings, lr: suggestedRate(entry, surface) } }));
        this.race.use({ ...this.race.state, surface: name, parameter: surface.parameter?.value ?? 0, start: [...surface.start], racers });
        this.save();
        this.refresh();
    }

    startOver() {
        this.clock.stop();
        this.race.step = 0;
        this.race.use(standard());
        this.save();
        this.refresh();
    }

    add(name) {
        if (!name || this.race.state.racers.length >= 12) return;
        const entry = { name, settings: {} };
        entry.settings.lr = suggestedRate(entry, this.race.course.surface);
        this.change({ racers: [...this.race.state.racers, entry] });
        this.buildRacers();
    }

    tune() {
        const racers = this.race.state.racers.map((entry) => ({ ...entry,
            settings: { ...entry.settings, lr: bestRate(entry.name, entry.settings, this.race.course, this.race.state.length) } }));
        this.change({ racers });
        this.buildRacers();
        this.status.textContent = "Each optimizer now has the learning rate, of four a decade, with which it gets furthest in "
            + `${this.race.state.length} steps.`;
    }

    async copy() {
        this.save();
        try {
            await navigator.clipboard.writeText(location.href);
            this.status.textContent = "The link to this race is copied.";
        } catch {
            this.status.textContent = "The address of this page is the link to this race.";
        }
    }

    toggle() {
        if (this.clock.playing) this.clock.stop();
        else {
            if (this.race.step >= this.race.state.length) this.race.to(0);
            this.clock.start();
        }
        this.draw();
    }

    save() { history.replaceState(null, "", write(this.race.state)); }

    refresh() {
        const { state, course } = this.race;
        this.surface.value = state.surface;
        this.about.textContent = course.surface.about;
        const p = course.surface.parameter;
        this.parameter.field.hidden = !p;
        if (p) this.parameter.set(state.parameter, p);
        this.noise.set(state.noise, { low: 0, high: state.surface === "rosenbrock" ? 20 : 4 });
        this.slider.max = String(state.length);
        this.buildRacers();
        this.draw();
    }

    buildRacers() {
        this.list.replaceChildren(...this.race.state.racers.map((entry, place) => this.racerCard(entry, place)));
    }

    racerCard(entry, place) {
        const { defaults, title } = RULES[entry.name], id = `racer-${place}`;
        const set = (key, value) => {
            entry.settings[key] = value;
            this.change({ racers: [...this.race.state.racers] });
            name.textContent = label(entry);
        };
        const name = element("b", {}, label(entry));
        const rate = this.range(`${id}-lr`, "learning rate α", 1e-5, 30, (v) => set("lr", v));
        rate.set(entry.settings.lr, { log: true });
        const more = Object.entries(defaults).filter(([key]) => key !== "lr").map(([key, value]) => {
            const now = entry.settings[key] ?? value;
            if (typeof value === "boolean")
                return element("label", {}, element("input", { type: "checkbox", checked: Boolean(now),
                    onchange: (e) => set(key, e.target.checked) }), key);
            const numbers = Array.isArray(value) ? now : [now];
            const inputs = numbers.map((number, i) => element("input", { type: "number", step: "any", value: number,
                "aria-label": `${title}: ${key}${numbers.length > 1 ? ` ${i + 1}` : ""}`,
                onchange: (e) => {
                    const v = Number(e.target.value);
                    if (!Number.isFinite(v)) return;
                    numbers[i] = v;
                    set(key, Array.isArray(value) ? [...numbers] : v);
                } }));
            return typeof value === "number" || Array.isArray(value) ? element("label", {}, key, ...inputs) : "";
        });
        return element("section", { class: "race-racer", style: `--racer:${colour(place)}`, "aria-label": label(entry) },
            element("div", { class: "race-name" }, name, element("output", { class: "race-loss", "data-place": place }),
                element("button", { type: "button", "aria-label": `Remove ${label(entry)}`, title: "Remove", onclick: () => {
                    this.change({ racers: this.race.state.racers.filter((other) => other !== entry) });
                    this.buildRacers();
                    this.draw();
                } }, "×")),
            rate.field,
            element("details", {}, element("summary", {}, "more settings"), element("div", { class: "race-more" }, ...more)));
    }

    draw() {
        const { race } = this;
        this.map.draw(race.course, race.racers, race.step, document.activeElement === this.canvas);
        drawChart(this.chart, race.racers, race.step, race.state.length);
        this.play.textContent = this.clock.playing ? "Pause" : "Play";
        this.slider.value = String(race.step);
        this.count.textContent = `step ${race.step}`;
        this.list.querySelectorAll(".race-loss").forEach((output) => {
            const found = race.racers[Number(output.dataset.place)];
            if (!found) return;                               // its card is about to go
            const { loss, lost } = found.racer.at(race.step);
            output.textContent = lost ? "diverged" : `loss ${short(loss)}`;
        });
    }

    announce() {
        const order = [...this.race.racers].sort((a, b) => a.racer.at(this.race.step).loss - b.racer.at(this.race.step).loss);
        this.status.textContent = `Step ${this.race.step}: ` + order.map(({ racer, entry }) => {
            const { loss, lost } = racer.at(this.race.step);
            return `${label(entry)} ${lost ? "diverged" : short(loss)}`;
        }).join("; ");
    }
}

function begin() {
    const whole = document.getElementById("playground-app"), part = document.getElementById("race");
    if (whole) window.playground = new Playground(whole);
    else if (part) small(part);
    Object.assign(window.playground ?? {}, { RULES, SURFACES });
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
else begin();
