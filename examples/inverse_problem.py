"""An inverse problem in plain PyOpenCL, solved by an optimizer of genesis without leaving the device.

A rod of unknown material is heated in several places, one experiment each, and its temperature is measured everywhere
at a few moments. How well does the rod conduct heat, and where? The conductivity k along the rod is found by gradient
descent: simulate the experiments with the current k, compare with the measurements, and follow the gradient of the
misfit.

The simulation is the user's own OpenCL program: one kernel makes a step of the heat equation (explicit finite
differences, insulated ends), one makes a step of its adjoint, backward in time (as in Plessix 2006, "A review of the
adjoint-state method"). `genesis.autograd.Function` joins both to one differentiable operation. Everything else is
genesis: the misfit, the prior that neighbouring values of k are alike, and Adam.

    temperature  u[t+1, i] = u[t, i] + c * (k[i+1] * (u[t, i+1] - u[t, i]) - k[i] * (u[t, i] - u[t, i-1]))
    adjoint      l[t, i]   = g[t, i] + the same of l[t+1]            (the step is a symmetric matrix)
    gradient     dk[i]     = -c * sum over t of (u[t, i] - u[t, i-1]) * (l[t+1, i] - l[t+1, i-1])

Run it with ``python examples/inverse_problem.py``; the device is chosen as always, for example by GENESIS_DEVICE=gpu.
"""

import argparse

import numpy as np
import pyopencl as cl
import pyopencl.array

import genesis

POINTS, EXPERIMENTS, STEPS = 64, 6, 300
COURANT = 0.2                                     # c above: time step over the square of the distance of points
MOMENTS = slice(20, None, 40)                     # when the temperature is measured

SOURCE = """
float divergence(__global const float *u, __global const float *k, int i, int n)
{
    float left = i > 0 ? k[i] * (u[i] - u[i - 1]) : 0.0f;
    float right = i < n - 1 ? k[i + 1] * (u[i + 1] - u[i]) : 0.0f;
    return right - left;
}

// One step of all experiments: next = now + c * div(k grad now).   global size (n, experiments)
__kernel void heat_step(__global const float *k, __global float *u, int t, float c)
{
    int i = get_global_id(0), n = get_global_size(0), e = get_global_id(1), all = n * (int)get_global_size(1);
    __global const float *now = u + t * all + e * n;
    u[(t + 1) * all + e * n + i] = now[i] + c * divergence(now, k, i, n);
}

// The same step of the adjoint, from t + 1 to t; l begins as a copy of g, the gradient of the misfit at all times.
__kernel void heat_adjoint(__global const float *k, __global float *l, int t, float c)
{
    int i = get_global_id(0), n = get_global_size(0), e = get_global_id(1), all = n * (int)get_global_size(1);
    __global const float *later = l + (t + 1) * all + e * n;
    l[t * all + e * n + i] += later[i] + c * divergence(later, k, i, n);
}

// The gradient for the conductivity between points i - 1 and i.      global size (n)
__kernel void heat_gradient(__global const float *u, __global const float *l, __global float *dk, int experiments,
                            int steps, float c)
{
    int i = get_global_id(0), n = get_global_size(0);
    float sum = 0.0f;
    for (int t = 0; i > 0 && t < steps; t++)
        for (int e = 0; e < experiments; e++) {
            __global const float *now = u + (t * experiments + e) * n, *later = l + ((t + 1) * experiments + e) * n;
            sum -= (now[i] - now[i - 1]) * (later[i] - later[i - 1]);
        }
    dk[i] = c * sum;
}
"""


class Program:
    """The user's kernels, compiled for the queue that genesis works on."""

    def __init__(self, queue):
        self.queue = queue
        program = cl.Program(queue.context, SOURCE).build()
        self.step, self.adjoint_step, self.gradient = (
            cl.Kernel(program, name) for name in ("heat_step", "heat_adjoint", "heat_gradient"))


class Simulate(genesis.autograd.Function):
    """Temperatures (STEPS + 1, EXPERIMENTS, POINTS) from conductivities (POINTS,) and the temperatures at the start."""

    @staticmethod
    def forward(ctx, k, start, program):
        """Simulate."""
        u = cl.array.empty(program.queue, (STEPS + 1, *start.shape), np.float32)
        u[0] = start.to_pyopencl()
        conductivity = k.to_pyopencl()
        for t in range(STEPS):
            program.step(program.queue, start.shape[::-1], None, conductivity.data, u.data, np.int32(t),
                         np.float32(COURANT))
        u = genesis.from_pyopencl(u)              # the same memory, as a tensor
        ctx.program = program
        ctx.save_for_backward(k, u)
        return u

    @staticmethod
    def backward(ctx, g):
        """Simulate the adjoint."""
        k, u = ctx.saved_tensors
        queue = ctx.program.queue
        adjoint = g.clone().to_pyopencl()         # g itself belongs to autograd
        for t in reversed(range(STEPS)):
            ctx.program.adjoint_step(queue, u.shape[:0:-1], None, k.to_pyopencl().data, adjoint.data, np.int32(t),
                                     np.float32(COURANT))
        dk = cl.array.empty(queue, (POINTS,), np.float32)
        ctx.program.gradient(queue, (POINTS,), None, u.to_pyopencl().data, adjoint.data, dk.data,
                             np.int32(EXPERIMENTS), np.int32(STEPS), np.float32(COURANT))
        return genesis.from_pyopencl(dk), None, None


def rod():
    """The true conductivity: two materials and a smooth transition inside one of them."""
    x = np.linspace(0, 1, POINTS)
    return (np.where(x < 0.45, 0.4, 1.0) + 0.6 * np.exp(-((x - 0.75) / 0.1) ** 2)).astype(np.float32)


def heated():
    """Temperatures at the start: each experiment heats another place."""
    x, places = np.linspace(0, 1, POINTS), np.linspace(0.08, 0.92, EXPERIMENTS)
    return np.exp(-((x - places[:, None]) / 0.06) ** 2).astype(np.float32)


def solve(iterations=150, noise=1e-3, report=print):
    """Find the conductivity.

    Returns:
        The mean relative error of k at the start and at the end.
    """
    genesis.manual_seed(0)
    program = Program(genesis.device().queue)
    truth, start = genesis.tensor(rod()), genesis.tensor(heated())
    with genesis.no_grad():
        measured = Simulate.apply(truth, start, program)[MOMENTS]
        measured = measured + noise * genesis.randn(*measured.shape)
    log_k = genesis.nn.Parameter(genesis.full((POINTS,), float(np.log(0.8))))       # so that k stays positive
    optimizer = genesis.optim.Adam([log_k], lr=0.03)

    def error():
        with genesis.no_grad():
            return (((log_k.exp() - truth).abs() / truth)[1:]).mean().item()        # k[0] lies outside the rod

    first = error()
    for iteration in range(iterations):
        optimizer.zero_grad()
        misfit = (Simulate.apply(log_k.exp(), start, program)[MOMENTS] - measured).square().mean()
        roughness = (log_k[2:] - log_k[1:-1]).square().mean()
        loss = misfit + 1e-6 * roughness
        loss.backward()
        optimizer.step()
        if iteration % 50 == 0 or iteration == iterations - 1:
            report(f"{iteration:4d}: misfit {misfit.item():.3e}, mean error of k {100 * error():.1f} %")
    return first, error()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--noise", type=float, default=1e-3, help="standard deviation of the measurements' error")
    args = parser.parse_args()
    solve(args.iterations, args.noise)
