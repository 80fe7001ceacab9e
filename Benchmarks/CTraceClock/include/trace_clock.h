// A wall clock that shows the time of a trace, for everything in this program: hours of traffic in minutes, and pages
// as old as they were.
#ifndef TRACE_CLOCK_H
#define TRACE_CLOCK_H

#include <stdint.h>

// From now on CLOCK_REALTIME shows this many milliseconds since the Unix epoch; 0 is the system's own time again. The
// other clocks stay as they are.
void trace_clock_set(int64_t milliseconds);

#endif
