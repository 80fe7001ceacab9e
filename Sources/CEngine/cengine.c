#include "cengine.h"
