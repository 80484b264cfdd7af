// How kernels treat an index that is out of range: nothing outside the array is touched, and the first such index since
// the host last looked is kept for the host, which raises an error at its next wait (genesis/opencl/faults.py).
//
// A kernel takes FAULTS as its last parameters and asks FITS(at, n) before it uses an index. `faults` is a buffer of 24
// bytes: the number of the operation (int, 0 while all is well), unused, the index and the size (long).
#ifndef FAULTS_H
#define FAULTS_H

#define FAULTS global int *faults, int operation, long low       // valid indices are those in [low, n)
#define FITS(at, n) fits(at, low, n, faults, operation)
#define WRAPPED(at, n) ((at) < 0 ? (at) + (n) : (at))

static void report_fault(long at, long n, global int *faults, int operation)
{
    if (atomic_cmpxchg(faults, 0, operation) == 0) {
        global long *about = (global long *)(faults + 2);
        about[0] = at;
        about[1] = n;
    }
}

static int fits(long at, long low, long n, global int *faults, int operation)
{
    if (at >= low && at < n)
        return 1;
    report_fault(at, n, faults, operation);
    return 0;
}

#endif
