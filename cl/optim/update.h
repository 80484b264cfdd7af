// The kernel around an optimizer's rule: everything but the formula, for every rule alike.
//
// Parameters, gradients and states lie in parallel flat buffers, cut into chunks of CHUNK elements; a tensor starts on
// a chunk. A work-group handles one chunk, a work-item WIDTH elements of it. `row_of_chunk` says which row of scalars
// belongs to a chunk; -1: its parameter is not updated. A row holds
//
//   [0] weight decay: the coefficient (L2), or lr times it (DECOUPLED; 1 - lr * weight_decay, rounded to float, would
//       decay by up to several percent too much or too little)
//   [1] 1, or -1 to maximize
//   [2] ... the rule's scalars, in the order of its signature
//
// With BY_ROWS it updates the rows of one parameter that its gradient has: row k of the gradient belongs to row
// touched[k] of the parameter, whose rows are `width` elements long. Numbers from `length` on stand for no row.
//
// Defined by the host (genesis/optim/rule.py):
//   PARAM, GRAD, STATE    storage types          STATES      number of state buffers, 0 to 4
//   CALL                  the call of the rule   ROW         values in a row
//   WIDTH, CHUNK          elements a work-item, a work-group; with BY_ROWS, WIDTH divides the length of a row
//   CONTROL               read the gradient's factor and the decision to skip from `control`
//   CANDIDATES            with CONTROL: rows a chunk can choose from, for 0, 1, ... steps skipped unknown to the host
// Defined by the rule's file, if it has a weight decay; a group's decoupled_weight_decay makes it DECOUPLED:
//   WEIGHT_DECAY          L2 (the gradient gets weight_decay * param) or DECOUPLED (the parameter shrinks)
#include "types.h"

#define L2 1
#define DECOUPLED 2
#ifndef WEIGHT_DECAY
#define WEIGHT_DECAY 0
#endif
#ifndef ROW_VALUES
#define ROW_VALUES 128          // values in all rows of a launch; 512 bytes leave room in the guaranteed 1024
#endif

#ifndef AHEAD
#define AHEAD 512               // elements between those that are updated and those that PREFETCH asks for
#endif

#ifdef ROWS_IN_BUFFER             // for runtimes that fail on a struct argument with a computed index
#define ROWS global const SCALAR *row_values
#define ROW_POINTER global const SCALAR *
#else
typedef struct {
    SCALAR value[ROW_VALUES];
} rows_t;
#define ROWS rows_t rows
#define ROW_POINTER const SCALAR *
#define row_values rows.value
#endif

// The buffers are distinct. Without `restrict` each store could change `control`, which compilers then read again.
kernel void update(
    global STORAGE(PARAM) *restrict params, global const STORAGE(GRAD) *restrict grads
#if STATES > 0
    , global STORAGE(STATE) *restrict states0
#endif
#if STATES > 1
    , global STORAGE(STATE) *restrict states1
#endif
#if STATES > 2
    , global STORAGE(STATE) *restrict states2
#endif
#if STATES > 3
    , global STORAGE(STATE) *restrict states3
#endif
#ifndef BY_ROWS
    , global const int *restrict row_of_chunk, ROWS
#else
    , global const long *restrict touched, long count, long length, long width, long param_at, long grad_at,
    long state_at, ROWS
#endif
#ifdef CONTROL
    , global const float *restrict control, float skips_known
#endif
    )
{
#ifdef BY_ROWS
    int first = 0;                                                // the parameter's
#else
    int first = row_of_chunk[get_group_id(0)];
#endif
#ifdef CONTROL
    const float4 decided = vload4(0, control);                    // as finish_norm in grad_norm.cl left it
    if (first < 0 || decided.y != 0) return;                      // not updated; a gradient was not finite
    first = first * CANDIDATES + min((int)(decided.z - skips_known), CANDIDATES - 1);
#else
    if (first < 0) return;
#endif
    ROW_POINTER row = row_values + first * ROW;
    size_t i = get_global_id(0);

#ifdef BY_ROWS
    const long k = i * WIDTH / width, column = i * WIDTH % width;
    const long at = k < count ? touched[k] : length;
    if (at >= length) return;
    params += param_at + at * width + column;                     // all begin at this work-item's elements now
    grads += grad_at + k * width + column;
    const long state = state_at + at * width + column;
#if STATES > 0
    states0 += state;
#endif
#if STATES > 1
    states1 += state;
#endif
#if STATES > 2
    states2 += state;
#endif
#if STATES > 3
    states3 += state;
#endif
    i = 0;
#else
    // Reading this many buffers at once a processor's own prefetching falls behind: a tenth to a seventh of the time.
    const size_t ahead = i * WIDTH + AHEAD;
    PREFETCH(params + ahead);
    PREFETCH(grads + ahead);
#if STATES > 0
    PREFETCH(states0 + ahead);
#endif
#if STATES > 1
    PREFETCH(states1 + ahead);
#endif
#if STATES > 2
    PREFETCH(states2 + ahead);
#endif
#if STATES > 3
    PREFETCH(states3 + ahead);
#endif
#endif

    real param = LOAD(PARAM, params, i);
    real grad = row[1] * LOAD(GRAD, grads, i);
#ifdef CONTROL
    grad *= decided.x;                                            // clip coefficient over loss scale
#endif
#if WEIGHT_DECAY == L2
    if (row[0] != 0)
        grad += row[0] * param;
#elif WEIGHT_DECAY == DECOUPLED
    param -= row[0] * param;
#endif

#if STATES > 0
    real state0 = LOAD(STATE, states0, i);
#endif
#if STATES > 1
    real state1 = LOAD(STATE, states1, i);
#endif
#if STATES > 2
    real state2 = LOAD(STATE, states2, i);
#endif
#if STATES > 3
    real state3 = LOAD(STATE, states3, i);
#endif

    CALL;

    STORE(PARAM, params, i, param);
#if STATES > 0
    STORE(STATE, states0, i, state0);
#endif
#if STATES > 1
    STORE(STATE, states1, i, state1);
#endif
#if STATES > 2
    STORE(STATE, states2, i, state2);
#endif
#if STATES > 3
    STORE(STATE, states3, i, state3);
#endif
}
