// hiredis, the yardstick of the benchmark `remote`.
#pragma once
#include <hiredis/hiredis.h>
