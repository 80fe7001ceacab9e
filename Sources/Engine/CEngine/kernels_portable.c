// The kernels for any CPU: plain vectors as the compiler lowers them, multiply and add apart where there is no FMA.

#define PATH_NAME cengine_kernels_portable
#define PATH_TEXT "portable"
#define TILE_VECTORS 1
#define HAS_F16C 0

#include "kernels_impl.h"
