// The surfaces: functions of two variables with their gradients, the part to show, and where to start.
// `rates` are learning rates that suit an optimizer there; `other` is for those that are not named.

const bowl = {
    title: "Quadratic bowl",
    about: "Curvature 1 across, κ down. The ratio is what makes plain gradient descent slow.",
    parameter: { name: "condition κ", low: 1, high: 300, value: 30, log: true },
    value: (x, y, k) => 0.5 * (x * x + k * y * y),
    gradient: (x, y, k) => [x, k * y],
    start: [-4, 1.2], minimum: [0, 0], window: [-5, 2.5, -2.6, 2.6],
    rates: { sgd: 0.03, momentum: 0.02, nesterov: 0.02, rmsprop: 0.05, adam: 0.3, adamw: 0.3, lion: 0.05,
        adamax: 0.3, nadam: 0.2, radam: 0.1, adagrad: 0.5, adadelta: 5, asgd: 0.03, rprop: 0.1, other: 0.1 },
};

const turned = {
    title: "Turned bowl",
    about: "The same bowl, turned by 45°: methods that look at each axis by itself lose their advantage.",
    parameter: bowl.parameter,
    value: (x, y, k) => 0.25 * ((x + y) * (x + y) + k * (x - y) * (x - y)),
    gradient: (x, y, k) => [0.5 * (x + y + k * (x - y)), 0.5 * (x + y - k * (x - y))],
    start: [-3, -1.4], minimum: [0, 0], window: [-4.2, 2.2, -3.2, 1.8],
    rates: bowl.rates,
};

const rosenbrock = {
    title: "Rosenbrock's valley",
    about: "A flat, bent floor between steep walls. Falling into the valley is easy; following it is not.",
    value: (x, y) => (1 - x) ** 2 + 100 * (y - x * x) ** 2,
    gradient: (x, y) => [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)],
    start: [-1.4, 1.8], minimum: [1, 1], window: [-2, 2, -0.9, 2.8],
    rates: { sgd: 1e-3, momentum: 1e-3, nesterov: 1e-3, rmsprop: 0.02, adam: 0.2, adamw: 0.2, lion: 0.01,
        adamax: 0.3, nadam: 0.1, radam: 0.002, adagrad: 1, adadelta: 5, asgd: 1e-3, rprop: 0.05, other: 0.05 },
};

const beale = {
    title: "Beale's function",
    about: "Nearly flat in the middle, walls in the corners, one minimum at (3, ½).",
    value: (x, y) => (1.5 - x + x * y) ** 2 + (2.25 - x + x * y * y) ** 2 + (2.625 - x + x * y ** 3) ** 2,
    gradient: (x, y) => {
        const a = 1.5 - x + x * y, b = 2.25 - x + x * y * y, c = 2.625 - x + x * y ** 3;
        return [2 * a * (y - 1) + 2 * b * (y * y - 1) + 2 * c * (y ** 3 - 1),
                2 * a * x + 4 * b * x * y + 6 * c * x * y * y];
    },
    start: [1, 1.5], minimum: [3, 0.5], window: [-1, 4.4, -1.6, 2],
    rates: { sgd: 0.01, momentum: 0.005, nesterov: 0.005, rmsprop: 0.02, adam: 0.1, adamw: 0.1, lion: 0.02,
        adamax: 0.3, nadam: 0.1, radam: 0.01, adagrad: 0.5, adadelta: 5, asgd: 0.01, rprop: 0.1, other: 0.05 },
};

const saddle = {
    title: "Saddle",
    about: "Starts almost on the ridge, where the gradient nearly vanishes; the two minima lie at y = ±1.",
    value: (x, y) => 0.5 * x * x + 0.25 * y ** 4 - 0.5 * y * y + 0.25,
    gradient: (x, y) => [x, y ** 3 - y],
    start: [-2, 0.001], minimum: [0, 1], window: [-2.6, 1.6, -1.6, 1.6],
    rates: { sgd: 0.1, momentum: 0.05, nesterov: 0.05, rmsprop: 0.02, adam: 0.05, adamw: 0.05, lion: 0.02,
        adamax: 0.05, nadam: 0.05, radam: 0.2, adagrad: 0.2, adadelta: 5, asgd: 0.1, rprop: 0.05, other: 0.05 },
};

export const SURFACES = { bowl, turned, rosenbrock, beale, saddle };

// Two normal random numbers that depend on the seed and the step alone, so that all racers meet the same noise.
export function noise(seed, step) {
    let a = Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(step + 1, 0x85ebca6b);
    const uniform = () => {                                   // mulberry32
        a = (a + 0x6d2b79f5) | 0;
        let t = Math.imul(a ^ (a >>> 15), 1 | a);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const radius = Math.sqrt(-2 * Math.log(1 - uniform())), angle = 2 * Math.PI * uniform();
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
}
