// Debian's OpenBLAS, C interface. `pkg-config openblas` supplies the include and library paths.
#include <cblas.h>
