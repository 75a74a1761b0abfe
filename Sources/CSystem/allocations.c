// Counts allocations per thread, so that "no allocation in a step" is a figure and not a hope. glibc exports its
// allocator under a second name, which makes the count one increment of a thread-local word per call.
#include "csystem.h"

static _Thread_local uint64_t count __attribute__((tls_model("initial-exec")));

uint64_t cs_allocation_count(void) { return count; }

#if defined(__GLIBC__)
#include <errno.h>
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) { return count++, __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return count++, __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { return count++, __libc_realloc(p, size); }
void *aligned_alloc(size_t alignment, size_t size) { return count++, __libc_memalign(alignment, size); }
int posix_memalign(void **out, size_t alignment, size_t size) {
    void *p = (count++, __libc_memalign(alignment, size));
    return p ? (*out = p, 0) : ENOMEM;
}
#endif
