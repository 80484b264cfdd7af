// Draws the surface with the ways down it, and the chart of losses.

const LIGHT = { low: [236, 241, 250], high: [143, 163, 199], line: "rgba(255,255,255,.75)", ink: "#1f2430", soft: "#5b6472",
                grid: "rgba(0,0,0,.09)", paper: "#ffffff" };
const DARK = { low: [26, 31, 46], high: [74, 92, 133], line: "rgba(255,255,255,.13)", ink: "#e7eaf2", soft: "#a4adbd",
               grid: "rgba(255,255,255,.1)", paper: "#141824" };

export const look = () => (document.body.getAttribute("data-md-color-scheme") === "slate" ? DARK : LIGHT);

// Okabe and Ito's colours, which all kinds of colour vision tell apart; dashes tell a second set of eight apart.
const COLOURS = [["#0072B2", "#56B4E9"], ["#D55E00", "#F08A4B"], ["#009E73", "#2EC79A"], ["#CC79A7", "#E39CC4"],
                 ["#000000", "#FFFFFF"], ["#B8860B", "#F0C808"], ["#7A4EBF", "#B79CED"], ["#8C564B", "#C49C94"]];
export const colour = (place) => COLOURS[place % COLOURS.length][look() === DARK ? 1 : 0];
const dashes = (place) => [[], [6, 4], [2, 3]][Math.floor(place / COLOURS.length) % 3];

// Fits a canvas to its place on the page; returns its context, in CSS pixels, and its size.
function fit(canvas) {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { context, width, height, ratio };
}

export class Map2D {
    constructor(canvas) {
        this.canvas = canvas;
        this.ground = document.createElement("canvas");
        this.drawn = "";
    }

    // The window, widened to the shape of the canvas so that a unit is as long across as down.
    frame(surface) {
        const { clientWidth: width, clientHeight: height } = this.canvas;
        let [left, right, bottom, top] = surface.window;
        const grow = (right - left) * height - (top - bottom) * width;
        if (grow > 0) { const d = (grow / width) / 2; bottom -= d; top += d; }
        else { const d = (-grow / height) / 2; left -= d; right += d; }
        return { left, bottom, across: (right - left) / width, down: (top - bottom) / height, height };
    }

    toPage([x, y], f) { return [(x - f.left) / f.across, f.height - (y - f.bottom) / f.down]; }

    toSurface(px, py, surface) {
        const f = this.frame(surface);
        return [f.left + px * f.across, f.bottom + (f.height - py) * f.down];
    }

    // Bands of equal logarithm, with lines between them.
    paintGround(course, f, width, height, ratio) {
        const key = [course.key, width, height, ratio, look() === DARK].join();
        if (key === this.drawn) return;
        this.drawn = key;
        const w = Math.round(width * ratio), h = Math.round(height * ratio), { surface, parameter } = course;
        const level = new Float32Array((w + 1) * (h + 1));
        let low = Infinity, high = -Infinity;
        for (let j = 0, at = 0; j <= h; j++)
            for (let i = 0; i <= w; i++, at++) {
                const x = f.left + (i / ratio) * f.across, y = f.bottom + (f.height - j / ratio) * f.down;
                const v = Math.log(surface.value(x, y, parameter) + 0.02);
                level[at] = v;
                if (v < low) low = v;
                if (v > high) high = v;
            }
        const bands = 15, scale = bands / (high - low), { low: from, high: to } = look();
        this.ground.width = w;
        this.ground.height = h;
        const context = this.ground.getContext("2d"), image = context.createImageData(w, h);
        const edge = look() === DARK ? 16 : 34;
        for (let j = 0; j < h; j++)
            for (let i = 0; i < w; i++) {
                const at = j * (w + 1) + i, band = Math.floor((level[at] - low) * scale);
                const line = band !== Math.floor((level[at + 1] - low) * scale) ||
                    band !== Math.floor((level[at + w + 1] - low) * scale);
                const t = Math.min(band, bands - 1) / (bands - 1), o = 4 * (j * w + i);
                for (let c = 0; c < 3; c++) image.data[o + c] = from[c] + (to[c] - from[c]) * t + (line ? edge : 0);
                image.data[o + 3] = 255;
            }
        context.putImageData(image, 0, 0);
    }

    draw(course, racers, step, focused) {
        const { context: c, width, height, ratio } = fit(this.canvas);
        if (!width || !height) return;
        const f = this.frame(course.surface), ink = look().ink;
        this.paintGround(course, f, width, height, ratio);
        c.drawImage(this.ground, 0, 0, width, height);
        c.lineJoin = c.lineCap = "round";
        this.star(c, this.toPage(course.surface.minimum, f), ink);
        racers.forEach(({ racer, place }, i) => {
            const path = racer.path.slice(0, step + 1);
            c.strokeStyle = c.fillStyle = colour(place);
            c.setLineDash(dashes(place));
            c.lineWidth = 2 + Math.min(1, 4 / racers.length) * (racers.length - 1 - i);    // seen beside the later
            c.beginPath();
            path.forEach((point, t) => {
                const [px, py] = this.toPage(point, f);
                const [x, y] = [Math.max(-1e4, Math.min(1e4, px || 0)), Math.max(-1e4, Math.min(1e4, py || 0))];
                if (t) c.lineTo(x, y); else c.moveTo(x, y);
            });
            c.stroke();
            c.setLineDash([]);
        });
        racers.forEach(({ racer, place }) => {
            const { point, lost } = racer.at(step);
            if (lost) return;
            const [x, y] = this.toPage(point, f);
            c.beginPath();
            c.arc(x, y, 6, 0, 2 * Math.PI);
            c.fillStyle = colour(place);
            c.fill();
            c.lineWidth = 1.5;
            c.strokeStyle = look().paper;
            c.stroke();
        });
        const [x, y] = this.toPage(course.start, f);
        c.strokeStyle = ink;
        c.lineWidth = focused ? 3 : 1.5;
        c.beginPath();
        c.arc(x, y, focused ? 11 : 9, 0, 2 * Math.PI);
        c.stroke();
    }

    star(c, [x, y], ink) {
        c.beginPath();
        for (let i = 0; i < 10; i++) {
            const r = i % 2 ? 4 : 9, a = (Math.PI * i) / 5 - Math.PI / 2;
            c.lineTo(x + r * Math.cos(a), y + r * Math.sin(a));
        }
        c.closePath();
        c.fillStyle = "#ffffff";
        c.fill();
        c.strokeStyle = look() === DARK ? "#000" : ink;
        c.lineWidth = 1.2;
        c.stroke();
    }
}

const superscript = (n) => String(n).replace(/./g, (d) => ({ "-": "⁻" })[d] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);

// Loss by step, on a logarithmic scale.
export function drawChart(canvas, racers, step, length) {
    const { context: c, width, height } = fit(canvas);
    if (!width || !height) return;
    const { soft, grid, ink } = look();
    c.clearRect(0, 0, width, height);
    const left = 44, right = width - 10, top = 10, bottom = height - 34;
    let low = Infinity, high = -Infinity;
    racers.forEach(({ racer }) => racer.losses.slice(0, length + 1).forEach((v) => {
        if (v > 0 && Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
    }));
    if (!Number.isFinite(low)) { low = 0.1; high = 1; }
    const first = Math.max(Math.floor(Math.log10(low)), -8), last = Math.max(Math.min(Math.ceil(Math.log10(high)), 6), first + 1);
    const x = (i) => left + ((right - left) * i) / length;
    const y = (v) => bottom - ((bottom - top) * (Math.max(first, Math.min(last, Math.log10(Math.max(v, 1e-300)))) - first)) / (last - first);
    c.font = "12px " + getComputedStyle(document.body).fontFamily;
    c.fillStyle = soft;
    c.strokeStyle = grid;
    c.lineWidth = 1;
    c.textAlign = "right";
    c.textBaseline = "middle";
    const every = Math.max(1, Math.ceil((last - first) / 5));
    for (let e = first; e <= last; e += every) {
        const at = y(10 ** e);
        c.beginPath();
        c.moveTo(left, at);
        c.lineTo(right, at);
        c.stroke();
        c.fillText("10" + superscript(e), left - 6, at);
    }
    c.textAlign = "center";
    c.textBaseline = "top";
    for (let i = 0; i <= 4; i++) c.fillText(String(Math.round((length * i) / 4)), Math.min(x((length * i) / 4), right - 8), bottom + 5);
    c.fillText("step", (left + right) / 2, bottom + 19);
    racers.forEach(({ racer, place }) => {
        c.strokeStyle = colour(place);
        c.setLineDash(dashes(place));
        c.lineWidth = 2;
        c.beginPath();
        racer.losses.slice(0, step + 1).forEach((v, i) => (i ? c.lineTo(x(i), y(v || 1e-300)) : c.moveTo(x(i), y(v))));
        c.stroke();
        c.setLineDash([]);
    });
    c.strokeStyle = ink;
    c.globalAlpha = 0.5;
    c.beginPath();
    c.moveTo(x(step), top);
    c.lineTo(x(step), bottom);
    c.stroke();
    c.globalAlpha = 1;
}
