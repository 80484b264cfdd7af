// Sums over input channels and taps: what the kernels of conv.cl and conv_channels.cl have in common.
//
// A convolution, and the gradient of its input (which is the forward of a transposed convolution), is a sum over input
// channels and taps of a weight times the input, shifted. Of a copy of the input that conv_stage.cl makes,
// x (images, channels, planes, rows, pitch), each tap is one fixed shift. The kernels compute tiles of some output
// channels by some pixels in registers, from weights that conv_stage.cl packed in blocks of as many output channels.
//
// A convolution has one phase. The gradient of the input of one with a stride has a phase for each residue of the
// stride, which the taps of that residue alone reach; a phase's output rows lie `spread` rows apart.
// The table says, for each phase, how many taps it has, the first of them, and the output row and column of its first
// pixel; then each tap's shift; then each tap's position in the filter; then, for each phase and row of tiles, which of
// the phase's taps, from one up to another, see a row of the input there: the others see padding alone.
#ifndef OUT
#define OUT float32      // storage type of the output
#endif

typedef STORAGE(OUT) out_t;

typedef struct {
    long x_image, x_group, x_channel, pitch;                 // strides of x
    long rows, columns;                                      // pixels of a phase
    long out_image, out_plane, out_row;                      // strides of the output
    long height, width;                                      // sizes of the output
    long spread_h, spread_w;                                 // distance of neighbouring pixels of a phase in the output
    long inputs, outputs;                                    // channels of a group
    long blocks, taps, phases;                               // blocks of output channels of a group; all taps
    long tiles, across, per;                                 // tiles of a phase; of a row; of a work-item
    long swap;                                               // blocks, not tiles, are the first of the global sizes
    long has_bias;
} taps_t;
