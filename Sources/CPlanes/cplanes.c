#include "cplanes.h"
