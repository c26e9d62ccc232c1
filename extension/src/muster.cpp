// The library's entry: the magic block and what happens once per backend.
#include "pg.hpp"

extern "C" {
PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) {}
