// Pixels of an input with its padding, 16 at a time, for conv_amx.cl and conv_weight_amx.cl.
//
// All pixels of a padded image follow each other, `pitch` a row. Include types.h first, with WIDTH 16, and define IN.
#ifndef PIXELS_H
#define PIXELS_H

typedef struct {
    long image, channel, row, column;        // strides of x
    long channels, height, width;            // sizes of x
    long pad_h, pad_w;                       // rows and columns of zeros before it
    long pitch, pixels;                      // of a padded row and image, and what tiles read past the end
    long used;                               // of these, read by the filter; those after them count as outside
    long before, after;                      // x[before] to x[after - 1] may be read
} split_t;

// 16 pixels that follow each other. Runs of them lie side by side in x, too: each is read as a whole vector, of which
// the run is taken.
typedef struct {
    long place[16];                          // in a plane of x; -1: outside
    int runs;
    int16 of_run;                            // the run of each pixel, from 1; 0: outside
    long at[16];                             // where a run's vector begins
    long lowest, highest;                    // of these
} line_t;

static void find_pixels(line_t *line, long first, split_t s)
{
    int which[16];
    line->runs = line->lowest = line->highest = 0;
    long row = first / s.pitch - s.pad_h, column = first % s.pitch - s.pad_w;
    for (int i = 0; i < 16; i++, column++) {
        if (column == s.pitch - s.pad_w) {
            row++;
            column = -s.pad_w;
        }
        const bool inside = first + i < s.used && row >= 0 && row < s.height && column >= 0 && column < s.width;
        const long place = inside ? row * s.row + column * s.column : -1;
        if (inside && (line->runs == 0 || line->at[line->runs - 1] + i != place)) {
            line->at[line->runs++] = place - i;
            line->lowest = line->runs == 1 ? place - i : min(line->lowest, place - i);
            line->highest = line->runs == 1 ? place - i : max(line->highest, place - i);
        }
        which[i] = inside ? line->runs : 0;
        line->place[i] = place;
    }
    line->of_run = vload16(0, which);
}

// The pixels of the plane of x that begins at `from`.
static float16 load_pixels(global const STORAGE(IN) *x, long from, const line_t *line, split_t s)
{
    float16 pixels = 0;
    if (line->runs <= 4 && from + line->lowest >= s.before && from + line->highest + 16 <= s.after) {
        for (int run = 0; run < line->runs; run++)
            pixels = select(pixels, LOAD(IN, x + from + line->at[run], 0), line->of_run == run + 1);
        return pixels;
    }
    float lane[16];
    for (int i = 0; i < 16; i++)
        lane[i] = line->place[i] >= 0 ? LOAD1(IN, x, from + line->place[i]) : 0;
    return vload16(0, lane);
}

#endif
