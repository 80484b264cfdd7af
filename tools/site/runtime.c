// What a rule may call, for WebAssembly: the OpenCL built-ins under the names that clang gives them.
// All of these are single instructions there, or correctly rounded; there is no fast approximation of anything.
typedef unsigned int uint;
#define NAMED(symbol) __asm__(symbol)

static uint element;

// The host calls this before each element: the kernel has one work-item.
__attribute__((export_name("at"))) void at(uint i) { element = i; }

uint get_global_id(uint) NAMED("_Z13get_global_idj");
uint get_global_id(uint dimension) { (void)dimension; return element; }
uint get_group_id(uint) NAMED("_Z12get_group_idj");
uint get_group_id(uint dimension) { (void)dimension; return 0; }

#define ONE(name, expression) \
    float cl_##name(float) NAMED("_Z" #name "f"); \
    float cl_##name(float x) { return expression; }
#define TWO(name, expression) \
    float cl_##name(float, float) NAMED("_Z" #name "ff"); \
    float cl_##name(float x, float y) { return expression; }

ONE(13convert_float, x)
ONE(4sqrt, __builtin_sqrtf(x))
ONE(4fabs, __builtin_fabsf(x))
ONE(5floor, __builtin_floorf(x))
ONE(4ceil, __builtin_ceilf(x))
ONE(5rsqrt, 1 / __builtin_sqrtf(x))
ONE(4sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x == 0 ? x : 0.0f)
TWO(4fmax, x > y || y != y ? x : y)
TWO(4fmin, x < y || y != y ? x : y)
TWO(8copysign, __builtin_copysignf(x, y))
TWO(3max, x < y ? y : x)
TWO(3min, y < x ? y : x)
ONE(5trunc, __builtin_truncf(x))
ONE(4rint, __builtin_rintf(x))

#define THREE(name, expression) \
    float cl_##name(float, float, float) NAMED("_Z" #name "fff"); \
    float cl_##name(float x, float y, float z) { return expression; }
THREE(3fma, (float)((double)x * y + z))
THREE(3mad, x * y + z)
THREE(5clamp, x < y ? y : x > z ? z : x)

int cl_isfinite(float) NAMED("_Z8isfinitef");
int cl_isfinite(float x) { return x - x == 0; }
int cl_isnan(float) NAMED("_Z5isnanf");
int cl_isnan(float x) { return x != x; }
float cl_select(float, float, int) NAMED("_Z6selectffi");
float cl_select(float a, float b, int c) { return c ? b : a; }
